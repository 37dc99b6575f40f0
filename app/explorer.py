"""The middle of the page: the viewer, as one component that is sent one payload per analysis.

Everything that happens in it happens in the browser; a layer of a large model comes when it is first looked at, see
`layer_source`. What is shown comes back to the server only when a file of it is asked for:
`VIEWER_CHOICE_JS` reads it there and `selection_of` checks it here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.cache import CacheEntry
from app.models import MAIN
from app.page_context import UNEXPECTED
from app.service import Service
from sifa_core import Analysis, SifaError
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.render.payload import light_payload
from sifa_core.explain.viewer import viewer_script, viewer_styles

SCRIPT = (Path(__file__).parent / "explorer.js").read_text(encoding="utf-8")

TEMPLATE = '<div class="sifa-viewer" role="region" aria-label="Viewer"></div>'

NOTHING: dict[str, Any] = {}
"""A value that changes nothing on the page, but lets Gradio forget the payload that it keeps for every session."""

VIEWER_CHOICE_JS = """
(token) => {
  const state = document.querySelector("#explorer .sifa-viewer").viewer?.getState();
  if (!state) return [token, null];
  const {t, x, y, layer, levels, evidence, paper} = state;
  return [token, {t, x, y, layer, levels, evidence, paper}];
}
"""
"""Browser's side of an event whose inputs are the session's token and the choice."""


def build_explorer(service: Service) -> gr.HTML:
    """The component; `explorer_value` makes its values."""
    return gr.HTML(
        NOTHING,
        html_template=TEMPLATE,
        js_on_load=f"const STYLES = {json.dumps(viewer_styles())};\n{viewer_script()}{SCRIPT}",
        apply_default_css=False,
        elem_id="explorer",
        server_functions=[layer_source(service), evidence_source(service)],
    )


def explorer_value(entry: CacheEntry, token: str) -> dict[str, Any]:
    """An analysis to show, and what a link to it has to say: the example clip and, if it is not the one that was chosen
    for it, the window. An uploaded clip has no link."""
    clip, video = entry.analysis.clip, entry.video
    window = int(clip.indices[0]), clip.source.stride
    other = video is not None and window != video.first
    return {
        "example": video.example if video else "",
        "window": {"start": window[0], "stride": window[1]} if other else None,
        "token": token,
        "model": MAIN,
        "analysis": light_payload(entry.payload),
    }


def layer_source(service: Service) -> Callable[..., dict[str, Any]]:
    """What a viewer calls for a layer that `light_payload` held back; it knows the token of its own analysis only."""

    def layer_arrays(asked: Any) -> dict[str, Any]:  # Gradio hands a server function one argument only
        return _answer(asked, ("token", "model", "layer"), service.layer_arrays)

    return layer_arrays


def evidence_source(service: Service) -> Callable[..., dict[str, Any]]:
    """What a viewer calls for a picture of class evidence that the payload does not hold."""

    def class_evidence(asked: Any) -> dict[str, Any]:
        def find(token: str) -> dict[str, Any]:
            return service.evidence_map(token, evidence_of(asked))

        return _answer(asked, ("token",), find)

    return class_evidence


def _answer(asked: Any, names: tuple[str, ...], find: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """What `find` makes of the texts that a browser asks with, by name; {"error": sentence} where that is nothing."""
    texts = [asked.get(name) for name in names] if isinstance(asked, dict) else [None]
    if not all(isinstance(text, str) for text in texts):
        return {"error": f"This is asked for with {', '.join(names)}."}
    try:
        return find(*texts)
    except SifaError as error:
        return {"error": str(error)}
    except Exception:
        logging.getLogger("app").exception("a part of an analysis could not be sent")
        return {"error": UNEXPECTED}


def selection_of(analysis: Analysis, choice: Any) -> Selection:
    """The choice that a browser sent, checked; the analysis' own first choice for None. Raises QueryError."""
    if choice is None:
        return analysis.select()
    if not isinstance(choice, dict):
        raise QueryError("A choice holds t, x, y, layer and levels.")
    layer, levels = choice.get("layer"), choice.get("levels")
    if not isinstance(layer, str) or not isinstance(levels, int):
        raise QueryError("A choice holds the layer's name and the number of levels.")
    query: Any = (choice.get("t"), choice.get("x"), choice.get("y"))
    if choice.get("paper"):
        return analysis.select(query, layer, levels, evidence_of(choice)["target"], paper=True)
    evidence = evidence_of(choice)
    stage, target = evidence.pop("layer"), evidence.pop("target")
    return analysis.select(query, layer, levels, target, **evidence, evidence_layer=stage)


def evidence_of(choice: Any) -> dict[str, Any]:
    """Arguments of `Analysis.class_evidence` for the picture that a browser says it shows; None is the default of each.

    Raises QueryError for anything but texts and numbers; whether there is such a class or layer, the analysis checks.
    """
    shown = (choice.get("evidence") if isinstance(choice, dict) else None) or {}
    names = ("target", "against", "method")
    if not isinstance(shown, dict) or not all(
        isinstance(shown.get(name), str | int | None) for name in ("stage", *names)
    ):
        raise QueryError("A choice of class evidence holds stage, target, against and method.")
    return {"layer": shown.get("stage")} | {name: shown.get(name) for name in names}
