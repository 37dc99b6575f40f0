"""The Offsets tab: are offsets and attention alive? Findings in words, layers by frames, distributions, controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app import fragments
from app.explorer import READ_CHOICE
from app.tabs.offset_charts import direction_rose, frames_of, length_histogram
from app.tabs.offset_controls import OUTLOOK, control_cards, summary_of
from app.visit import LAST, MODEL_QUEUE, QUIET, Updates, Visit
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.studies.controls import MEANINGS, run_controls
from sifa_core.explain.studies.diagnostics import FAULT, Diagnostic, diagnose

SCRIPT = (Path(__file__).parent / "offsets_matrix.js").read_text(encoding="utf-8")
NOTHING: dict[str, Any] = {}

CHOOSER = """
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

READ_CHOSEN = """
(token) => {
  const [layer, frame] = document.querySelectorAll('#offsets .chooser select');
  return [token, {layer: layer.value, t: frame.selectedIndex}];
}
"""
"""Browser's side of the chooser: what is chosen when the charts are really asked for."""

IF_OPEN = """
(token) => [token, document.querySelector('#tab-offsets-button')?.getAttribute('aria-selected') === 'true']
"""
"""Browser's side of a change of the clip: whether this tab is the one that is open."""


@dataclass(frozen=True)
class Measure:
    """One thing that the matrix can show."""

    name: str
    """Of the field in `OffsetStatistics` or `FlowAgreement`."""
    title: str
    about: str
    unit: str = ""
    """"%" for shares of one."""
    digits: int = 2
    two_sided: bool = False
    """Whether it goes from -1 to 1."""


MEASURES = (
    Measure("mean_magnitude", "Length", "Mean length of an offset: how far sampling points were moved.", "cells"),
    Measure(
        "out_of_frame", "Out of frame", "Share of points beyond the picture, where the network reads zeros.", "%", 0
    ),
    Measure("attention_entropy", "Spread", "Entropy of the attention: 100 % all points alike, 0 % all on one.", "%", 0),
    Measure(
        "cosine",
        "Along the motion",
        "Cosine between where moving cells look and where the picture goes (DIS optical flow): 1 along, −1 against it.",
        two_sided=True,
    ),
    Measure(
        "error",
        "Off the motion",
        "Distance between where moving cells look and where the picture there goes (DIS optical flow).",
        "cells",
    ),
)


HARMLESS = ("astray", "nothing_moves")
"""Kinds of findings beside which offsets and attention may still be called alive."""
ALIVE = "Offsets are alive, and not many more points lie beyond the picture than those of the regular grid."


def build(visit: Visit, tab: gr.Tab) -> None:
    """Fill the tab."""
    service = visit.service
    with gr.Column(elem_id="offsets"):
        report = gr.HTML(elem_id="findings")
        with gr.Row(elem_classes="offsets-top"):
            matrix = gr.HTML(
                NOTHING, html_template='<div class="sheet matrix"></div>', js_on_load=SCRIPT, elem_id="offset-matrix"
            )
            with gr.Column(elem_classes="sheet distributions"):
                chooser = gr.HTML(NOTHING, html_template=CHOOSER_TEMPLATE, js_on_load=CHOOSER)
                with gr.Row(elem_classes="charts"):
                    lengths = gr.Plot(show_label=False, elem_id="offset-lengths")
                    directions = gr.Plot(show_label=False, elem_id="offset-directions")
        controls = gr.HTML(elem_id="offset-controls")

    def charts(analysis: Analysis, layer: str, t: int) -> Updates:
        return {lengths: length_histogram(analysis, layer, t), directions: direction_rose(analysis, layer, t)}

    def fill(token: str, choice: Any) -> Iterator[Updates]:
        if not token:
            return
        analysis = service.analysis(token)
        layer, t = place_of(analysis, choice)
        if "controls" not in service.kept(token).extras:
            yield {visit.notice: fragments.progress("Measuring offsets against the motion of the clip")}
        figures = service.worked_out(token, "offsets", offsets_view)
        where = {"layers": analysis.layers, "frames": figures["matrix"]["frames"], "chosen": {"layer": layer, "t": t}}
        yield {
            report: findings(figures["diagnostics"], has_offsets(analysis)),
            matrix: figures["matrix"],
            chooser: where,
            **charts(analysis, layer, t),
        }
        if "controls" not in service.kept(token).extras:
            yield {
                controls: OUTLOOK,
                visit.notice: fragments.progress(f"Running the model on {len(MEANINGS)} controls"),
            }
        cards = service.worked_out(
            token, "controls", lambda kept: [summary_of(kept), *(summary_of(kept, one) for one in run_controls(kept))]
        )
        yield {controls: control_cards(cards, analysis.info.is_trained), visit.notice: ""}

    @visit.guard
    def opened(token: str, choice: Any) -> Iterator[Updates]:
        yield from fill(token, choice)

    @visit.guard
    def another_clip(token: str, is_open: bool) -> Iterator[Updates]:
        if is_open:
            yield from fill(token, None)

    @visit.guard
    def choose(token: str, chosen: Any) -> Iterator[Updates]:
        layer, t = (chosen.get("layer"), chosen.get("t")) if isinstance(chosen, dict) else (None, None)
        if not isinstance(layer, str) or not isinstance(t, int):
            raise QueryError("Choose a layer and a frame.")
        yield charts(service.analysis(token), layer, t)

    everything = [visit.notice, report, matrix, chooser, lengths, directions, controls]
    inputs: list[Any] = [visit.token, visit.choice]
    drawn = [lengths, directions, visit.notice]
    for event in (
        tab.select(opened, inputs, everything, js=READ_CHOICE, **LAST, **MODEL_QUEUE, **QUIET),
        visit.token.change(another_clip, inputs, everything, js=IF_OPEN, **LAST, **MODEL_QUEUE, **QUIET),
        chooser.select(choose, inputs, drawn, js=READ_CHOSEN, **LAST, **QUIET),
    ):
        visit.forget(event, matrix, lengths, directions, controls)


def place_of(analysis: Analysis, choice: Any) -> tuple[str, int]:
    """Layer and attended frame that the viewer shows, as `READ_CHOICE` told; the analysis' own for anything else."""
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
            "measures": [values_of(analysis, measure) for measure in MEASURES],
        },
    }


def values_of(analysis: Analysis, measure: Measure) -> dict[str, Any]:
    """One measure of every layer and frame, with the ends of its colour scale."""
    rows = []
    for layer in analysis.layers:
        source: Any = analysis.offset_statistics(layer)
        if not hasattr(source, measure.name):
            source = analysis.flow_agreement(layer)
        values = np.asarray(getattr(source, measure.name), float)
        rows.append([float(value) if np.isfinite(value) else None for value in values])
    largest = max((value for row in rows for value in row if value is not None), default=0.0)
    high = 1.0 if measure.two_sided or measure.unit == "%" else max(largest, 0.01)
    return {
        "id": measure.name,
        "title": measure.title,
        "about": measure.about,
        "unit": measure.unit,
        "digits": measure.digits,
        "low": -high if measure.two_sided else 0.0,
        "high": high,
        "zero": measure.two_sided,
        "values": rows,
    }


def cells_of(analysis: Analysis, layer: str) -> str:
    """Columns and rows of the layer's map."""
    grid = analysis.grid(layer)
    return f"{grid.columns} × {grid.rows}"


def has_offsets(analysis: Analysis) -> bool:
    """Whether some layer has moved its points; a network that was built on the regular grid never does."""
    return any(trace.offset.any() for trace in analysis.traces.values())


def findings(found: list[Diagnostic], with_offsets: bool) -> str:
    """Findings as HTML, faults first; a calm sentence if there is none, which speaks of offsets where there are any."""
    if all(finding.kind in HARMLESS for finding in found):
        calm = "No fault found on this clip."
        if with_offsets:
            calm += f" {ALIVE}"
        items = f'<li class="fine"><p>{calm}</p></li>'
    else:
        items = ""
    for finding in found:
        kind, word = ("fault", "Fault") if finding.severity == FAULT else ("note", "Note")
        items += (
            f'<li class="{kind}"><p><b>{word}.</b> {escape(finding.sentence)} '
            f'<span class="advice">{escape(finding.advice)}</span></p></li>'
        )
    return f'<ul class="findings" aria-label="What was found">{items}</ul>'
