"""The whole video below the viewer: how it moves, what the model makes of it moment by moment, and another moment to
look at. Closed at first; nothing is computed before it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from gradio.components import Component
from numpy.typing import NDArray

from app import charts, fragments
from app.background import BackgroundWork
from app.page_context import LAST_EVENT, QUIET, PageContext, ShownClip, Updates
from app.service import Service
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.timeline import Timeline

QUEUE: dict[str, Any] = {"concurrency_id": "timelines", "concurrency_limit": 2}
"""Not the model's: between two windows of a timeline others have their turn."""
TITLE = "The whole video, and another moment of it"
EXPLANATION = (
    "The viewer shows one window of the video. Here is all of it: how much moves, and what the network would say of "
    "each moment. Choose where a window starts and how far apart its frames are, and the viewer shows that one."
)
OPEN_JS = "(...inputs) => [true, ...inputs.slice(1)]"
IS_OPEN_JS = "(...inputs) => [document.querySelector('#timeline')?.checkVisibility() ?? false, ...inputs.slice(1)]"
"""Browser's side: whether the panel is open, as the first input."""


@dataclass(frozen=True)
class WholeVideoPanel:
    """Where a visitor chooses another window."""

    start: gr.Number
    """Seconds."""
    stride: gr.Number
    show: gr.Button


def build(context: PageContext) -> WholeVideoPanel:
    """Add the panel where the page is being built; whoever opens clips listens to its button."""
    with gr.Accordion(TITLE, open=False, elem_id="whole-video") as panel:
        gr.HTML(f"<p>{EXPLANATION}</p>", elem_classes="about")
        plot = gr.Plot(show_label=False, label="Timeline of the video", elem_classes="chart", elem_id="timeline")
        with gr.Row(elem_id="window-choice"):
            start = gr.Number(
                label="First frame, at second", minimum=0, step=0.1, elem_id="window-start", min_width=150
            )
            stride = gr.Number(
                label="One frame in", minimum=1, precision=0, step=1, elem_id="window-stride", min_width=110
            )
            show = gr.Button("Show this moment", elem_id="window-show", size="sm", min_width=0, scale=0)
    is_open = gr.Checkbox(visible=False)
    shown = gr.State(ShownClip())

    @context.guard
    def another_clip(token: str, shown: ShownClip) -> Iterator[Updates]:
        shown.token = token
        if token:
            clip = context.service.analysis(token).clip
            yield {start: round(float(clip.timestamps[0]), 2), stride: clip.source.stride, plot: None}

    @context.guard
    def draw(is_open: bool, token: str, shown: ShownClip) -> Iterator[Updates]:
        if not token or not is_open:
            return
        service = context.service
        work = BackgroundWork(lambda tell: service.timeline(token, lambda done: tell(done, "")))
        for done, _ in work:
            if shown.token != token:  # another clip is there meanwhile
                yield {context.notice: gr.skip()}
                return
            yield {context.notice: fragments.progress(f"Looking at the whole video, {done:.0%} done")}
        found = work.result()
        if shown.token != token:
            yield {context.notice: gr.skip()}
            return
        yield {plot: timeline_figure(service, service.analysis(token), found), context.notice: ""}

    first: list[Component] = [plot, start, stride, context.notice]
    context.token.change(another_clip, [context.token, shown], first, queue=False, **QUIET)
    inputs: list[Any] = [is_open, context.token, shown]
    for event in (
        panel.expand(draw, inputs, [plot, context.notice], js=OPEN_JS, **LAST_EVENT, **QUEUE, **QUIET),
        context.token.change(draw, inputs, [plot, context.notice], js=IS_OPEN_JS, **LAST_EVENT, **QUEUE, **QUIET),
    ):
        context.forget(event, plot)
    return WholeVideoPanel(start, stride, show)


def timeline_figure(service: Service, analysis: Analysis, found: Timeline) -> Any:
    """The chart, with the window of the analysis; without classes where the model is untrained."""
    times = analysis.clip.timestamps
    classes = found.best(charts.TIMELINE_CLASSES) if service.model.info.is_trained else []
    return charts.timeline_chart(found, classes, (float(times[0]), float(times[-1])))


def chosen_window(timestamps: NDArray[np.float64], second: Any, stride: Any) -> tuple[int, int]:
    """The first frame and the stride that the fields say, of a video whose frames [N] are shown at `timestamps`.

    Raises QueryError for what no window has."""
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (second, stride)):
        raise QueryError("A window needs a second at which it starts, and how many frames lie from one to the next.")
    if not 0 <= second <= timestamps[-1]:
        raise QueryError(f"The video runs from 0 to {timestamps[-1]:.2f} s; there is nothing at {second:g} s.")
    if stride < 1:
        raise QueryError("A window takes one frame in 1 or more.")
    nearest = int(np.abs(timestamps - second).argmin())
    return min(nearest, len(timestamps) - 2), int(stride)
