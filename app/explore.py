"""The middle of the page: frame t to click into, Figure 5 of the query, and the controls of both.

The page knows nothing of what is in here but `inputs` (the components that hold the present choice, in the order in
which `choose` takes their values), `outputs`, `open`, `show`, and the events that `listen` wires.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.components import Component

from app.picture import build_picture, picture_value
from sifa_core import Analysis
from sifa_core.explain.analysis import Selection

Updates = dict[Component, Any]


class Explore:
    """Components of the middle. Make one, then call `build_stage` and `build_controls` where they belong."""

    def build_stage(self) -> None:
        """The pictures: the largest things on the page."""
        self.picture = build_picture()
        self.figure = gr.Image(
            format="png",
            label="Figure 5",
            show_label=False,
            interactive=False,
            buttons=[],
            elem_id="figure",
            alt_text="Frame t with the query; its sampling points on the next frame; motion saliency; Grad-CAM.",
        )

    def build_controls(self) -> None:
        """What is asked for: a place, and a layer."""
        gr.HTML("<h2>Query</h2><p class='note'>Click the frame, or type a place in pixels.</p>")
        self.frame = gr.Slider(0, 1, 0, step=1, label="Frame t", elem_id="frame", buttons=[])
        with gr.Row(elem_classes="pair"):
            self.x = gr.Number(label="x, from the left", elem_id="query-x", min_width=80, step=8, precision=1)
            self.y = gr.Number(label="y, from the top", elem_id="query-y", min_width=80, step=8, precision=1)
        self.layer = gr.Radio([], label="Layer", elem_id="layer", elem_classes="segments")
        self.levels = gr.Radio([], label="Sampling points", elem_id="levels", elem_classes="segments")

    @property
    def inputs(self) -> list[Component]:
        """The present choice."""
        return [self.frame, self.x, self.y, self.layer, self.levels]

    @property
    def outputs(self) -> list[Component]:
        """Everything that `open` and `show` may change."""
        return [self.picture, self.figure, *self.inputs]

    def listen(
        self, ask: Callable[..., Any], inputs: list[Component], outputs: list[Component], **options: Any
    ) -> None:
        """Call `ask(*inputs)` whenever the choice changes, by mouse or by keyboard."""
        changes = [component.input for component in (self.frame, self.x, self.y, self.layer, self.levels)]
        # A click only writes the point into the number fields; then it is asked for like a typed one.
        picked = self.picture.select(
            _place, None, [self.x, self.y], queue=False, show_progress="hidden", api_visibility="private"
        )
        picked.then(ask, inputs, outputs, **options)
        gr.on(changes, ask, inputs, outputs, trigger_mode="always_last", **options)

    def choose(self, analysis: Analysis, frame: Any, x: Any, y: Any, layer: Any, levels: Any) -> Selection | None:
        """The choice that the values of `inputs` stand for; None while a number is being typed. Raises QueryError."""
        if frame is None or x is None or y is None:
            return None
        layer = analysis.check_layer(layer)
        # A layer that comes first in its stage has one level only.
        return analysis.select((frame, x, y), layer, min(levels or 2, analysis.max_levels(layer)))

    def open(self, analysis: Analysis) -> tuple[Selection, Updates]:
        """A new analysis: its own first choice, and everything that shows it."""
        selection = analysis.select()
        t, x, y = selection.query
        last = max(1, analysis.num_frames - 1)
        return selection, self.show(analysis, selection) | {
            self.frame: gr.Slider(maximum=last, value=t),
            self.x: round(x, 1),
            self.y: round(y, 1),
            self.layer: gr.Radio(choices=analysis.layers, value=selection.layer),
        }

    def show(self, analysis: Analysis, selection: Selection) -> Updates:
        """Pictures of a choice. The fields that a person may be typing in are left alone."""
        layer, taps = selection.layer, analysis.traces[selection.layer].kernel_size ** 2
        levels = [(f"{taps**level}", level) for level in range(1, analysis.max_levels(layer) + 1)]
        return {
            self.picture: picture_value(analysis, selection.query),
            self.figure: analysis.figure5(selection.query, layer, selection.levels, selection.target),
            self.levels: gr.Radio(choices=levels, value=selection.levels),
        }


def _place(event: gr.SelectData) -> tuple[float, float]:
    x, y = event.index
    return float(x), float(y)
