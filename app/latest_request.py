"""Which clip a visitor has asked for last.

An upload waits for the model while an example may be there at once: what was asked for first may come last, and must
not replace what was asked for since.
"""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from app.page_context import Updates

REQUEST_TIME_JS = "(...inputs) => [...inputs.slice(0, -1), performance.now()]"
"""Browser's side of a request: fills in the last input, when it was made."""


class LatestRequest:
    """That of one visitor, shared by all handlers that run for them at the same time."""

    def __init__(self) -> None:
        self.made = 0.0
        """When it was made, milliseconds since the page was opened."""

    def serve(self, made: float, updates: Iterator[Updates]) -> Iterator[Updates]:
        """The updates that answer a request, up to the moment when there is a later one; then no more are computed."""
        each: Updates = {}
        for each in updates:
            self.made = max(self.made, made)
            if made < self.made:
                break
            yield each
        if each and made < self.made:  # Gradio shows the last update once more when a handler ends
            yield dict.fromkeys(each, gr.skip())
