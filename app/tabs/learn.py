"""The Learn tab: the paper's equations one at a time, with the real numbers of the query that the viewer shows.

The server computes a query's numbers once; stepping through the equations then happens in the browser. Switching a
part of the model off runs the model again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import Any

import gradio as gr
import numpy as np

from app import fragments
from app.bundle import part
from app.explorer import VIEWER_CHOICE_JS, selection_of
from app.page_context import LAST_EVENT, MODEL_QUEUE, QUIET, PageContext, Updates
from app.service import Service
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.render.payload import PICTURE_QUALITY, PICTURE_SIDE, encode_jpeg
from sifa_core.explain.studies.ablation import PARTS, ablate, compare, has_part
from sifa_core.explain.studies.equations import Attention, EquationSteps, explain_equations
from sifa_core.explain.trace import OFFSET_SOURCES

CHANNELS = 8
"""Channels of a feature that are written out; there may be hundreds."""
DIGITS = 6
"""Significant digits that a number keeps on its way to the browser."""

TEMPLATE = '<section class="learn" aria-label="The equations, one at a time" tabindex="-1"></section>'

CHOICE_IF_OPEN_JS = """
async (token) => {
  const isOpen = () => document.querySelector("#learn")?.checkVisibility();
  const refresh = () => new Promise((done) => requestAnimationFrame(done));
  const viewer = () => document.querySelector("#explorer .sifa-viewer")?.viewer;
  for (let i = 0; i < 2 || (i < 200 && isOpen() && !viewer()); i += 1) await refresh();
  if (!viewer() || !isOpen()) return [token, null];
  const { t, x, y, layer, levels } = viewer().getState();
  return [token, { t, x, y, layer, levels }];
}
"""
"""Browser's side of opening the tab or a new clip: the choice once the viewer shows it, null if the tab is closed."""
ABLATION_REQUEST_JS = '(token) => [token, document.querySelector("#learn .learn").request]'
"""Browser's side of a switch: the part that is to be off by now, where, and at which choice; null for none."""


def build(context: PageContext, tab: gr.Tab) -> None:
    """Fill the tab."""
    page = gr.HTML(
        {}, html_template=TEMPLATE, js_on_load=part("learn"), apply_default_css=False, elem_id="learn", padding=False
    )
    service, notice = context.service, context.notice

    def fill(key: str, chosen: Any) -> Iterator[Updates]:
        analysis = service.analysis(key)
        yield {notice: fragments.progress("Computing the steps")}
        selection = _choice(analysis, chosen)
        with service.model_lock:
            steps = explain_equations(analysis, selection.query, selection.layer)
        yield {page: lesson(analysis, selection, steps), notice: ""}

    @context.guard
    def open_lesson(key: str, chosen: Any) -> Iterator[Updates]:
        if key and chosen is not None:
            yield from fill(key, chosen)

    @context.guard
    def another_place(key: str, chosen: Any) -> Iterator[Updates]:
        yield from fill(key, chosen)

    @context.guard
    def switch_off(key: str, request: Any) -> Iterator[Updates]:
        if request is None:  # switched on again meanwhile
            return
        if not isinstance(request, dict) or not isinstance(request.get("part"), str):
            raise QueryError("A switch holds the part that is to be switched off.")
        part, here = request["part"], request.get("here") is True
        # The same answer twice is to be shown twice.
        asked = {"number": secrets.token_hex(4), "part": part, "here": here}
        try:
            answer = _ablation(service, key, part, request.get("choice"), here)
        except Exception:
            yield {page: asked | {"kind": "failed"}}
            raise
        yield {page: asked | answer, notice: ""}

    shown = [page, notice]
    inputs: list[Any] = [context.token, context.choice]
    for event in (
        tab.select(open_lesson, inputs, shown, js=CHOICE_IF_OPEN_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET),
        context.token.change(open_lesson, inputs, shown, js=CHOICE_IF_OPEN_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET),
        page.input(another_place, inputs, shown, js=VIEWER_CHOICE_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET),
        page.select(switch_off, inputs, shown, js=ABLATION_REQUEST_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET),
    ):
        context.forget(event, page)


def _ablation(service: Service, key: str, part: str, choice: Any, here: bool) -> dict[str, Any]:
    """What the page shows of the query without the part, in its layer alone if it is only to be off there."""
    analysis = service.analysis(key)
    selection = selection_of(analysis, choice)
    with service.model_lock:
        ablation = ablate(analysis, part, [selection.layer] if here else None)
    comparison = compare(analysis, ablation, selection)
    return {
        "kind": "switched off",
        "moved": comparison.moved,
        "before": _points(comparison.before),
        "after": _points(comparison.after),
        "probabilities": [list(row) for row in comparison.probabilities],
    }


def lesson(analysis: Analysis, selection: Selection, steps: EquationSteps) -> dict[str, Any]:
    """All numbers of a query, as plain values; for each equation those channels that show it best."""
    t = selection.query[0]
    following = min(t + 1, analysis.num_frames - 1)
    grid = analysis.grid(selection.layer)
    return {
        "kind": "lesson",
        "number": secrets.token_hex(4),
        "choice": dict(zip("txy", selection.query, strict=True))
        | {"layer": selection.layer, "levels": selection.levels},
        "clip": {"width": analysis.clip.width, "height": analysis.clip.height},
        "frames": [t, following],
        "pictures": [encode_jpeg(analysis.frame(each), PICTURE_SIDE, PICTURE_QUALITY) for each in (t, following)],
        "grid": [grid.columns, grid.rows],
        "cell": list(steps.cell),
        "channels": len(steps.query),
        "gated": steps.is_gated,
        "regular": _attention(steps.regular),
        "deformed": _attention(steps.deformed),
        "offset": _plain(steps.offset),
        "corners": steps.corners.tolist(),
        "cornerWeights": _plain(steps.corner_weights),
        "maps": {"difference": _plain(steps.difference_map), "saliency": _plain(steps.saliency_map)},
        "features": _features_of(steps),
        **_model_facts(analysis, selection.layer),
    }


def _model_facts(analysis: Analysis, layer: str) -> dict[str, Any]:
    model, info = analysis.model, analysis.info
    attention = model.sifa_layers()[layer].attention
    return {
        "model": info.name,
        "trained": info.is_trained,
        "side": attention.kernel_size,
        "scale": attention.scale,
        "temporal": getattr(model.config, "temporal", "sifa"),
        "gate": model.config.gate,
        "offsetSource": OFFSET_SOURCES[analysis.traces[layer].offset_source],
        "parts": [part for part in PARTS if has_part(model, part)],
        "partWords": PARTS,
    }


def _features_of(steps: EquationSteps) -> dict[str, Any]:
    """The features that each step shows, in the channels that show it best."""
    channels, regular, deformed = steps.telling_channels(CHANNELS), steps.regular, steps.deformed
    query, following, difference = steps.query, steps.following, steps.difference
    key, moved_key = regular.keys[regular.strongest()], deformed.keys[deformed.strongest()]
    return {
        "compare": _features(channels[1], query=query, key=key),
        "gather": _features(channels[2], aggregate=regular.aggregate) | {"keys": _plain(regular.keys[:, channels[2]])},
        "add": _features(channels[2], query=query, aggregate=regular.aggregate, output=steps.regular_output),
        "change": _features(channels[4], following=following, query=query, difference=difference),
        "saliency": _features(
            channels[4], difference=difference, gate=steps.gate, following=following, saliency=steps.saliency
        ),
        "blend": _features(channels[6], key=moved_key) | {"corners": _plain(steps.corner_features[:, channels[6]])},
        "output": _features(
            channels[7], query=query, aggregate=deformed.aggregate, gated=steps.gated, output=steps.output
        ),
    }


def _choice(analysis: Analysis, chosen: Any) -> Selection:
    """What the viewer shows; the analysis' own first choice if it still shows the clip before."""
    try:
        return selection_of(analysis, chosen)
    except QueryError:
        return analysis.select()


def _attention(attention: Attention) -> dict[str, Any]:
    return {
        "points": _plain(attention.points),
        "products": _plain(attention.products),
        "weights": _plain(attention.weights),
    }


def _features(channels: Iterable[int], **values: np.ndarray) -> dict[str, Any]:
    numbers = list(map(int, channels))
    return {"numbers": numbers} | {name: _plain(each[numbers]) for name, each in values.items()}


def _points(points: SamplingPoints) -> dict[str, Any]:
    return {"points": _plain(points.points), "weights": _plain(points.weights)}


def _plain(values: np.ndarray) -> Any:
    """Nested lists of a few significant digits; JSON has no NaN and no infinity."""
    finite = np.nan_to_num(np.asarray(values, float), nan=0.0, posinf=1e30, neginf=-1e30)
    return [_plain(each) for each in finite] if finite.ndim > 1 else [float(f"{each:.{DIGITS}g}") for each in finite]
