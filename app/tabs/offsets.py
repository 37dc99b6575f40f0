"""The Offsets tab: are offsets and attention alive? Diagnostics in words, layers by frames, distributions, controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from app import fragments
from app.bundle import part
from app.charts import direction_rose, frames_of, length_histogram
from app.explorer import VIEWER_CHOICE_JS
from app.page_context import LAST_EVENT, MODEL_QUEUE, QUIET, PageContext, Updates
from app.tabs.offset_controls import PLACEHOLDER, cards_of, control_cards
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.studies.controls import MEANINGS
from sifa_core.explain.studies.diagnostics import FAULT, Diagnostic, diagnose
from sifa_core.explain.studies.offset_matrix import MEASURES, measure_layers, moves_points

NOTHING: dict[str, Any] = {}

CHOOSER_JS = """
const root = element.querySelector('.chooser');
const [layer, frame] = root.querySelectorAll('select');
const fill = (select, texts) => select.replaceChildren(...texts.map((text) => new Option(text, text)));
root.addEventListener('change', () => trigger('select'));
function show() {
  const {layers, frames, chosen} = props.value ?? {};
  if (!layers) return;
  fill(layer, layers);
  fill(frame, frames);
  layer.value = chosen.layer;
  frame.selectedIndex = chosen.t;
}
watch('value', show);
show();
"""
CHOOSER_TEMPLATE = (
    '<div class="chooser"><h2>Lengths and directions</h2>'
    "<label>Layer <select></select></label><label>Frames <select></select></label></div>"
)

CHOSEN_FRAME_JS = """
(token) => {
  const [layer, frame] = document.querySelectorAll('#offsets .chooser select');
  return [token, {layer: layer.value, t: frame.selectedIndex}];
}
"""
"""Browser's side of the chooser: what is chosen when the charts are really asked for."""

IS_OPEN_JS = """
(token) => [token, document.querySelector('#tab-offsets-button')?.getAttribute('aria-selected') === 'true']
"""
"""Browser's side of a change of the clip: whether this tab is the one that is open."""


HARMLESS = ("astray", "nothing_moves")
"""Kinds of diagnostics beside which offsets and attention may still be called alive."""
ALIVE = "Offsets are alive, and not many more points lie beyond the picture than those of the regular grid."


@dataclass(frozen=True)
class _View:
    """The components of the tab."""

    report: gr.HTML
    matrix: gr.HTML
    chooser: gr.HTML
    lengths: gr.Plot
    directions: gr.Plot
    controls: gr.HTML

    def charts(self, analysis: Analysis, layer: str, t: int) -> Updates:
        """Lengths and directions of one layer in one frame."""
        return {
            self.lengths: length_histogram(analysis, layer, t),
            self.directions: direction_rose(analysis, layer, t),
        }

    def fill(self, context: PageContext, token: str, choice: Any) -> Iterator[Updates]:
        """Everything, what is quick to compute first."""
        service, notice = context.service, context.notice
        analysis = service.analysis(token)
        layer, t = place_of(analysis, choice)
        if "controls" not in service.entry(token).extras:
            yield {notice: fragments.progress("Measuring offsets against the motion of the clip")}
        offsets = service.get_or_compute(token, "offsets", offsets_view)
        frames = offsets["matrix"]["frames"]
        yield {
            self.report: diagnostics_list(offsets["diagnostics"], moves_points(analysis)),
            self.matrix: offsets["matrix"],
            self.chooser: {"layers": analysis.layers, "frames": frames, "chosen": {"layer": layer, "t": t}},
            **self.charts(analysis, layer, t),
        }
        if "controls" not in service.entry(token).extras:
            running = fragments.progress(f"Running the model on {len(MEANINGS)} controls")
            yield {self.controls: PLACEHOLDER, notice: running}
        cards = service.get_or_compute(token, "controls", cards_of)
        yield {self.controls: control_cards(cards, analysis.info.is_trained), notice: ""}


def _layout() -> _View:
    with gr.Column(elem_id="offsets"):
        report = gr.HTML(elem_id="findings")
        with gr.Row(elem_classes="offsets-top"):
            matrix = gr.HTML(
                NOTHING,
                html_template='<div class="sheet matrix"></div>',
                js_on_load=part("offsetsMatrix"),
                elem_id="offset-matrix",
            )
            with gr.Column(elem_classes="sheet distributions"):
                chooser = gr.HTML(NOTHING, html_template=CHOOSER_TEMPLATE, js_on_load=CHOOSER_JS)
                with gr.Row(elem_classes="charts"):
                    lengths = gr.Plot(show_label=False, elem_id="offset-lengths")
                    directions = gr.Plot(show_label=False, elem_id="offset-directions")
        return _View(report, matrix, chooser, lengths, directions, gr.HTML(elem_id="offset-controls"))


def build(context: PageContext, tab: gr.Tab) -> None:
    """Fill the tab."""
    view = _layout()

    @context.guard
    def opened(token: str, choice: Any) -> Iterator[Updates]:
        if token:
            yield from view.fill(context, token, choice)

    @context.guard
    def another_clip(token: str, is_open: bool) -> Iterator[Updates]:
        if token and is_open:
            yield from view.fill(context, token, None)

    @context.guard
    def choose(token: str, chosen: Any) -> Iterator[Updates]:
        layer, t = (chosen.get("layer"), chosen.get("t")) if isinstance(chosen, dict) else (None, None)
        if not isinstance(layer, str) or not isinstance(t, int):
            raise QueryError("Choose a layer and a frame.")
        yield view.charts(context.service.analysis(token), layer, t)

    drawn = [view.lengths, view.directions, context.notice]
    everything = [view.report, view.matrix, view.chooser, *drawn, view.controls]
    inputs: list[Any] = [context.token, context.choice]
    for event in (
        tab.select(opened, inputs, everything, js=VIEWER_CHOICE_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET),
        context.token.change(another_clip, inputs, everything, js=IS_OPEN_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET),
        view.chooser.select(choose, inputs, drawn, js=CHOSEN_FRAME_JS, **LAST_EVENT, **QUIET),
    ):
        context.forget(event, view.matrix, view.lengths, view.directions, view.controls)


def place_of(analysis: Analysis, choice: Any) -> tuple[str, int]:
    """Layer and attended frame that the viewer shows, see `VIEWER_CHOICE_JS`; the analysis' own for anything else."""
    start = analysis.select()
    layer, t = (choice.get("layer"), choice.get("t")) if isinstance(choice, dict) else (None, None)
    if layer not in analysis.layers or not isinstance(t, int) or not 0 <= t < analysis.num_frames:
        layer, t = start.layer, start.query[0]
    return layer, min(t, len(analysis.traces[layer].offset) - 1)


def offsets_view(analysis: Analysis) -> dict[str, Any]:
    """The matrix for the page, see offsets_matrix.js, and the diagnostics."""
    attended = max(len(trace.offset) for trace in analysis.traces.values())
    return {
        "diagnostics": diagnose(analysis),
        "matrix": {
            "layers": [{"name": name, "cells": cells_of(analysis, name)} for name in analysis.layers],
            "frames": [frames_of(analysis, t) for t in range(attended)],
            "measures": [measure_layers(analysis, measure) for measure in MEASURES],
        },
    }


def cells_of(analysis: Analysis, layer: str) -> str:
    """Columns and rows of the layer's map."""
    grid = analysis.grid(layer)
    return f"{grid.columns} × {grid.rows}"


def diagnostics_list(found: list[Diagnostic], with_offsets: bool) -> str:
    """Diagnostics as HTML, faults first; a calm sentence if there is none, on offsets where there are any."""
    if all(each.kind in HARMLESS for each in found):
        calm = "No fault found on this clip."
        if with_offsets:
            calm += f" {ALIVE}"
        items = f'<li class="fine"><p>{calm}</p></li>'
    else:
        items = ""
    for each in found:
        kind, word = ("fault", "Fault") if each.severity == FAULT else ("note", "Note")
        items += (
            f'<li class="{kind}"><p><b>{word}.</b> {escape(each.sentence)} '
            f'<span class="advice">{escape(each.advice)}</span></p></li>'
        )
    return f'<ul class="findings" aria-label="What was found">{items}</ul>'
