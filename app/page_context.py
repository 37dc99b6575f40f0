"""What the parts of the page share: the service, the visitor's clip and choice, and one way to report errors."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app import fragments
from app.service import Service
from sifa_core import SifaError

MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
"""One handler at a time of those that need the model."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LAST_EVENT: dict[str, Any] = {"trigger_mode": "always_last"}
"""While one event is being answered, the last one after it waits. Its inputs are read by its `js` when it is its turn;
data of the event itself would be that of the first."""
UNEXPECTED = "Something went wrong here, not with what you did; please try again or choose another clip."

log = logging.getLogger("app")

Updates = dict[Component, Any]
Handler = Callable[..., Iterator[Updates]]


class ShownClip:
    """Which analysis one visitor sees, shared by all handlers that run for them at the same time."""

    def __init__(self) -> None:
        self.token = ""


@dataclass(frozen=True)
class PageContext:
    """The components of one page that more than one tab reads or writes."""

    service: Service
    token: gr.State
    """Key of the analysis that is shown, see `Service.analysis`; empty before the first."""
    choice: gr.JSON
    """Never shown: takes what is chosen in the viewer, read by `app.explorer.VIEWER_CHOICE_JS` in the browser."""
    notice: gr.HTML
    """The line for progress and errors; tabs leave everything else as it was when something fails."""
    tabs: gr.Tabs

    @staticmethod
    def forget(event: Any, *components: Component) -> None:
        """Have Gradio forget what the event has sent to the components.

        It keeps the last value of every component for each of thousands of sessions, and takes what a browser says it
        is: here, that there is nothing. The browser itself is told nothing and keeps what it shows.
        """
        nothing = f"() => Array({len(components)}).fill(null)"
        event.then(lambda *values: None, [*components], None, js=nothing, queue=False, **QUIET)

    def guard(self, handler: Handler) -> Handler:
        """The handler with its errors told in `notice`: the page keeps whatever it was showing."""

        @functools.wraps(handler)
        def safe(*arguments: Any) -> Iterator[Updates]:
            silent = True
            try:
                for updates in handler(*arguments):
                    silent = False
                    yield updates
                if silent:  # Gradio empties every output of a generator that ends without a word
                    yield {self.notice: gr.skip()}
            except SifaError as error:
                yield {self.notice: fragments.failure(str(error))}
            except Exception:
                log.exception("%s failed", handler.__name__)
                yield {self.notice: fragments.failure(UNEXPECTED)}

        return safe
