"""Charts of the viewer's query, below it: closed at first, and drawn only while they are open.

The viewer tells of a change in the browser; when it has been still for a moment, the charts are asked for once. What
they are drawn of is read from the viewer only then, or when the charts asked for before are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from app import charts
from app.explorer import VIEWER_CHOICE_JS, selection_of
from app.page_context import LAST_EVENT, QUIET, PageContext, Updates
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.studies.series import motion_series
from sifa_core.inference import shown_predictions

QUEUE: dict[str, Any] = {"concurrency_id": "charts", "concurrency_limit": 4}
"""Charts read what is there already, so they need not wait for the model."""

CHANGE_EVENT_JS = """
const PAUSE = 400;
const viewer = () => document.querySelector('#explorer .sifa-viewer')?.viewer;
let timer;
let last = '';

function ask() {
  if (!document.querySelector('#charts .charts-grid')?.checkVisibility()) return;
  const {t, x, y, layer, levels} = viewer().getState();
  const now = JSON.stringify([t, x, y, layer, levels]);
  if (now === last) return;
  last = now;
  trigger('select');
}

const waiting = setInterval(() => {
  if (!viewer()) return;
  clearInterval(waiting);
  viewer().on('change', () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
}, 200);
"""

CHOICE_IF_OPEN_JS = """
async (token) => {
  for (let i = 0; i < 3; i += 1) await new Promise((done) => requestAnimationFrame(done));
  const viewer = document.querySelector('#explorer .sifa-viewer')?.viewer;
  if (!viewer || !document.querySelector('#charts .charts-grid')?.checkVisibility()) return [token, null];
  const {t, x, y, layer, levels} = viewer.getState();
  return [token, {t, x, y, layer, levels}];
}
"""
"""Browser's side of a new clip: what the viewer now shows of it, null while the panel is closed."""


def build(context: PageContext) -> None:
    """Add the panel where the page is being built."""
    trained = context.service.model.info.is_trained
    with (
        gr.Accordion("Charts of this query", open=False, elem_id="charts") as panel,
        gr.Row(elem_classes="charts-grid"),
    ):
        names = (["predictions"] if trained else []) + ["matrix", "ranking", "offsets", "directions", "motion"]
        plots: dict[str, Component] = {
            name: gr.Plot(show_label=False, label=name, elem_classes="chart", elem_id=f"chart-{name}") for name in names
        }
    messenger = gr.HTML({}, html_template="", js_on_load=CHANGE_EVENT_JS, elem_id="charts-messenger")

    @context.guard
    def draw(key: str, chosen: Any) -> Iterator[Updates]:
        if not key or chosen is None:
            return
        analysis = context.service.analysis(key)
        try:
            selection = selection_of(analysis, chosen)
        except QueryError:  # of the clip before, which a slow browser may still show
            selection = analysis.select()
        figures = draw_charts(analysis, selection)
        yield {plot: figures[name] for name, plot in plots.items()}

    outputs = [*plots.values(), context.notice]
    inputs: list[Any] = [context.token, context.choice]
    listening = (
        panel.expand(draw, inputs, outputs, js=VIEWER_CHOICE_JS, **LAST_EVENT, **QUEUE, **QUIET),
        context.token.change(draw, inputs, outputs, js=CHOICE_IF_OPEN_JS, **LAST_EVENT, **QUEUE, **QUIET),
        messenger.select(draw, inputs, outputs, js=VIEWER_CHOICE_JS, **LAST_EVENT, **QUEUE, **QUIET),
    )
    for event in listening:
        context.forget(event, *plots.values())


def draw_charts(analysis: Analysis, selection: Selection) -> dict[str, Any]:
    """All charts of a selection by name; without predictions if the model is untrained."""
    t = selection.query[0]
    side = analysis.traces[selection.layer].kernel_size
    statistics = analysis.offset_statistics(selection.layer)
    figures = {
        "matrix": charts.weights_matrix(analysis.sampling_points(selection.query, selection.layer), side),
        "ranking": charts.weights_ranking(analysis.sampling_points(selection.query, selection.layer, selection.levels)),
        "offsets": charts.offsets_chart(statistics, t),
        "directions": charts.directions_chart(statistics, t),
        "motion": charts.motion_chart(motion_series(analysis, selection), t),
    }
    if shown := shown_predictions(analysis.info, analysis.predictions):
        figures["predictions"] = charts.predictions_chart(shown)
    return figures
