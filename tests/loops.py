"""Event loops for tests. Playwright has one in the thread of the tests, in which no other can run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """What comes of `work` in a loop, and a thread, of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Jumping(selectors.DefaultSelector):
    """Where nothing happens, time goes on to when something does."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


def in_jumping_time(visit: Coroutine[Any, Any, Any]) -> Any:
    """What comes of `visit` in a loop of its own, in which minutes take no time; also beside another loop."""
    selector = Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    setattr(loop, "time", lambda: selector.now)  # noqa: B010 - a method on an instance
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(loop.run_until_complete, visit).result()
    loop.close()
    return found
