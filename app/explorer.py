"""The middle of the page: the viewer, as one component that is sent one payload per analysis.

Everything that happens in it happens in the browser. What it shows comes back to the server only when a file of it is
asked for: `READ_CHOICE` reads it there and `selection_of` checks it here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.viewer import viewer_script, viewer_styles

SCRIPT = (Path(__file__).parent / "explorer.js").read_text(encoding="utf-8")

TEMPLATE = '<div class="sifa-viewer" role="region" aria-label="Viewer"></div>'

NOTHING_NEW: dict[str, Any] = {}
"""A value that changes nothing on the page, but lets Gradio forget the payload that it keeps for every session."""

READ_CHOICE = """
(token) => {
  const state = document.querySelector("#explorer .sifa-viewer").viewer?.getState();
  return [token, state ? {t: state.t, x: state.x, y: state.y, layer: state.layer, levels: state.levels} : null];
}
"""
"""Browser's side of an event whose inputs are the session's token and the choice."""


def build_explorer() -> gr.HTML:
    """The component; `explorer_value` makes its values."""
    return gr.HTML(
        NOTHING_NEW,
        html_template=TEMPLATE,
        js_on_load=f"const STYLES = {json.dumps(viewer_styles())};\n{viewer_script()}{SCRIPT}",
        apply_default_css=False,
        elem_id="explorer",
    )


def explorer_value(payload: dict[str, Any], example: str = "") -> dict[str, Any]:
    """A payload to show; `example` is the example clip's name, or nothing for a clip that was uploaded."""
    return {"example": example, "analysis": payload}


def selection_of(analysis: Analysis, choice: Any) -> Selection:
    """The choice that a browser sent, checked; the analysis' own first choice for None. Raises QueryError."""
    if choice is None:
        return analysis.select()
    if not isinstance(choice, dict):
        raise QueryError("A choice holds t, x, y, layer and levels.")
    layer, levels = choice.get("layer"), choice.get("levels")
    if not isinstance(layer, str) or not isinstance(levels, int):
        raise QueryError("A choice holds the layer's name and the number of levels.")
    return analysis.select((choice.get("t"), choice.get("x"), choice.get("y")), layer, levels)  # type: ignore[arg-type]
