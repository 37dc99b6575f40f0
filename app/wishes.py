"""Which clip a visitor has asked for last.

An upload waits for the model while an example may be there at once: what was asked for first may come last, and must
not replace what was asked for since.
"""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from app.visit import Updates

MADE = "(...inputs) => [...inputs.slice(0, -1), performance.now()]"
"""Browser's side of a wish: fills in the last input, when it was made."""


class Wishes:
    """Those of one visitor, shared by all handlers that run for them at the same time."""

    def __init__(self) -> None:
        self.newest = 0.0
        """When the last wish was made, milliseconds since the page was opened."""

    def serve(self, made: float, updates: Iterator[Updates]) -> Iterator[Updates]:
        """The updates that come of a wish, up to the moment when there is a newer one; then no more are worked out."""
        each: Updates = {}
        for each in updates:
            self.newest = max(self.newest, made)
            if made < self.newest:
                break
            yield each
        if each and made < self.newest:  # Gradio shows the last update once more when a handler ends
            yield dict.fromkeys(each, gr.skip())
