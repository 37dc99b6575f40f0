"""The middle of the page: the viewer, as one component that is sent one payload per analysis.

Everything that happens in it happens in the browser; a layer of a large model, or another picture of class evidence,
is asked for when it is first looked at, see `app.questions`.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.bundle import host, program
from app.models import MAIN
from sifa_core.explain.render.payload import light_payload

NOTHING: dict[str, Any] = {}
"""A value that changes nothing on the page, but lets Gradio forget the payload that it keeps for every session."""


def build_explorer() -> gr.HTML:
    """The component; `explorer_value` makes its values. It brings the program for all parts of the page."""
    return host("explorer", NOTHING, before=program(), apply_default_css=False, elem_id="explorer")


def explorer_value(payload: dict[str, Any], token: str, example: str = "") -> dict[str, Any]:
    """A payload to show; `example` is the example clip's name, or nothing for a clip that was uploaded."""
    return {"example": example, "token": token, "model": MAIN, "analysis": light_payload(payload)}
