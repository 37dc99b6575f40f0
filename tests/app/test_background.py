"""Work in the background: what it tells comes in order, its result and its errors come out, and it ends when left."""

from __future__ import annotations

import threading

import pytest

from app.background import BackgroundWork, Tell
from sifa_core.errors import QueryError


def test_progress_in_order_then_the_result() -> None:
    def work(tell: Tell) -> str:
        tell(0.0, "first")
        tell(0.5, "second")
        return "done"

    running = BackgroundWork(work)
    assert list(running) == [(0.0, "first"), (0.5, "second")]
    assert running.result() == "done"


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    def work(tell: Tell) -> None:
        tell(0.1, "first")
        raise QueryError("There is no such class.")

    running = BackgroundWork(work)
    assert list(running) == [(0.1, "first")]
    with pytest.raises(QueryError, match="no such class"):
        running.result()


def test_work_that_nobody_waits_for_ends() -> None:
    left, ended = threading.Event(), threading.Event()
    told: list[int] = []

    def work(tell: Tell) -> None:
        try:
            tell(0.0, "first")
            left.wait(30)
            for number in range(1000):
                tell(number / 1000, "more")
                told.append(number)
        finally:
            ended.set()

    progress = iter(BackgroundWork(work))
    assert next(progress) == (0.0, "first")
    progress.close()  # type: ignore[attr-defined]
    left.set()
    assert ended.wait(30)
    assert told == []
