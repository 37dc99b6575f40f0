"""The Learn tab: the paper's equations one at a time, with the real numbers of the query that the viewer shows.

The server works a query's numbers out once; stepping through the equations then happens in the browser. Switching a
part of the model off runs the model again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app import fragments
from app.explorer import READ_CHOICE, selection_of
from app.tabs.lessons import LESSONS
from app.visit import LAST, MODEL_QUEUE, QUIET, Updates, Visit
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.render.payload import PICTURE_QUALITY, PICTURE_SIDE, encode_jpeg
from sifa_core.explain.studies.ablation import PARTS, ablate, compare, has_part
from sifa_core.explain.studies.equations import Attention, EquationSteps, explain_equations

FOLDER = Path(__file__).parent
SCRIPTS = ("learn_pictures", "learn_numbers", "learn_steps", "learn")
CHANNELS = 8
"""Channels of a feature that are written out; there may be hundreds."""
DIGITS = 6
"""Significant digits that a number keeps on its way to the browser."""

TEMPLATE = '<section class="learn" aria-label="The equations, one at a time" tabindex="-1"></section>'

READ_IF_OPEN = """
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
READ_WISH = '(token) => [token, document.querySelector("#learn .learn").wish]'
"""Browser's side of a switch: the part that is to be off by now, where, and at which choice; null for none."""


def build(visit: Visit, tab: gr.Tab) -> None:
    """Fill the tab."""
    page = gr.HTML(
        {}, html_template=TEMPLATE, js_on_load=script(), apply_default_css=False, elem_id="learn", padding=False
    )
    service, notice = visit.service, visit.notice

    def fill(key: str, chosen: Any) -> Iterator[Updates]:
        analysis = service.analysis(key)
        yield {notice: fragments.progress("Working it out")}
        selection = _choice(analysis, chosen)
        with service.model_lock:
            steps = explain_equations(analysis, selection.query, selection.layer)
        yield {page: lesson(analysis, selection, steps), notice: ""}

    @visit.guard
    def open_lesson(key: str, chosen: Any) -> Iterator[Updates]:
        if key and chosen is not None:
            yield from fill(key, chosen)

    @visit.guard
    def another_place(key: str, chosen: Any) -> Iterator[Updates]:
        yield from fill(key, chosen)

    @visit.guard
    def switch_off(key: str, wish: Any) -> Iterator[Updates]:
        if wish is None:  # switched on again meanwhile
            return
        if not isinstance(wish, dict) or not isinstance(wish.get("part"), str):
            raise QueryError("A switch holds the part that is to be switched off.")
        part, here = wish["part"], wish.get("here") is True
        # The same answer twice is to be shown twice.
        told = {"number": secrets.token_hex(4), "part": part, "here": here}
        try:
            analysis = service.analysis(key)
            selection = selection_of(analysis, wish.get("choice"))
            with service.model_lock:
                ablation = ablate(analysis, part, [selection.layer] if here else None)
            comparison = compare(analysis, ablation, selection)
        except Exception:
            yield {page: told | {"kind": "failed"}}
            raise
        yield {
            page: told
            | {
                "kind": "switched off",
                "moved": comparison.moved,
                "before": _points(comparison.before),
                "after": _points(comparison.after),
                "probabilities": [list(row) for row in comparison.probabilities],
            },
            notice: "",
        }

    shown = [page, notice]
    inputs: list[Any] = [visit.token, visit.choice]
    for event in (
        tab.select(open_lesson, inputs, shown, js=READ_IF_OPEN, **LAST, **MODEL_QUEUE, **QUIET),
        visit.token.change(open_lesson, inputs, shown, js=READ_IF_OPEN, **LAST, **MODEL_QUEUE, **QUIET),
        page.input(another_place, inputs, shown, js=READ_CHOICE, **LAST, **MODEL_QUEUE, **QUIET),
        page.select(switch_off, inputs, shown, js=READ_WISH, **LAST, **MODEL_QUEUE, **QUIET),
    ):
        visit.forget(event, page)


def script() -> str:
    """What runs in the browser: the lessons, the pictures, and the stepping through them."""
    parts = [f"const LESSONS = {json.dumps([each.to_dict() for each in LESSONS])};"]
    parts += [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(parts)


def lesson(analysis: Analysis, selection: Selection, steps: EquationSteps) -> dict[str, Any]:
    """All numbers of a query, as plain values; for each equation those channels that show it best."""
    t = selection.query[0]
    following = min(t + 1, analysis.num_frames - 1)
    grid, layer = analysis.grid(selection.layer), analysis.model.sifa_layers()[selection.layer]
    attention, info = layer.attention, analysis.info
    top, top_moved = steps.regular.strongest(), steps.deformed.strongest()
    by_equation = {
        1: steps.query * steps.regular.keys[top],
        2: steps.regular.aggregate,
        4: steps.difference,
        6: steps.deformed.keys[top_moved],
        7: steps.gated,
    }
    channels = {number: steps.largest_channels(values, CHANNELS) for number, values in by_equation.items()}
    return {
        "kind": "lesson",
        "number": secrets.token_hex(4),
        "choice": dict(zip("txy", selection.query, strict=True))
        | {"layer": selection.layer, "levels": selection.levels},
        "model": info.name,
        "trained": info.is_trained,
        "clip": {"width": analysis.clip.width, "height": analysis.clip.height},
        "frames": [t, following],
        "pictures": [encode_jpeg(analysis.frame(each), PICTURE_SIDE, PICTURE_QUALITY) for each in (t, following)],
        "grid": [grid.columns, grid.rows],
        "cell": list(steps.cell),
        "side": attention.kernel_size,
        "scale": attention.scale,
        "channels": len(steps.query),
        "gated": not np.allclose(steps.gated, steps.deformed.aggregate, rtol=1e-3, atol=1e-6),
        "temporal": getattr(analysis.model.config, "temporal", "sifa"),
        "gate": analysis.model.config.gate,
        "offsetSource": analysis.model.config.offset_from,
        "parts": [part for part in PARTS if has_part(analysis.model, part)],
        "partWords": PARTS,
        "regular": _attention(steps.regular),
        "deformed": _attention(steps.deformed),
        "offset": _plain(steps.offset),
        "corners": steps.corners.tolist(),
        "shares": _plain(steps.shares),
        "maps": {"difference": _plain(steps.difference_map), "saliency": _plain(steps.saliency_map)},
        "features": {
            "compare": _features(channels[1], query=steps.query, key=steps.regular.keys[top]),
            "gather": _features(channels[2], aggregate=steps.regular.aggregate)
            | {"keys": _plain(steps.regular.keys[:, channels[2]])},
            "add": _features(
                channels[2], query=steps.query, aggregate=steps.regular.aggregate, output=steps.regular_output
            ),
            "change": _features(channels[4], following=steps.following, query=steps.query, difference=steps.difference),
            "saliency": _features(
                channels[4],
                difference=steps.difference,
                gate=steps.gate,
                following=steps.following,
                saliency=steps.saliency,
            ),
            "blend": _features(channels[6], key=steps.deformed.keys[top_moved])
            | {"corners": _plain(steps.corner_features[:, channels[6]])},
            "output": _features(
                channels[7],
                query=steps.query,
                aggregate=steps.deformed.aggregate,
                gated=steps.gated,
                output=steps.output,
            ),
        },
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
