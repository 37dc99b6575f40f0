"""Long work that tells how far it is, for handlers that show it while it goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Result = TypeVar("Result")
Progress = tuple[float, str]
"""How much is done, 0..1, and what is done next, in words."""
Tell = Callable[[float, str], None]


class _AbandonedError(Exception):
    """Nobody waits for the work any more."""


class BackgroundWork(Generic[Result]):
    """`work` in a thread of its own, started at once.

    Iterate over it for whatever it tells, until it ends; then `result` has what it returned. An iteration that is left
    early, as Gradio leaves that of a visitor who has gone, ends the work the next time it tells something.
    """

    def __init__(self, work: Callable[[Tell], Result]) -> None:
        self._told: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
        self._abandoned = threading.Event()
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=[work], name="background", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Progress]:
        try:
            while (progress := self._told.get()) is not None:
                yield progress
        finally:
            self._abandoned.set()

    def result(self) -> Result:
        """What the work returned; raises what it raised. Waits for its end."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self, work: Callable[[Tell], Result]) -> None:
        try:
            self._results.append(work(self._tell))
        except BaseException as error:
            self._error = error
        finally:
            self._told.put(None)

    def _tell(self, done: float, step: str) -> None:
        if self._abandoned.is_set():
            raise _AbandonedError
        self._told.put((done, step))
