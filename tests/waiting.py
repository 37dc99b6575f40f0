"""Waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_for(condition: Callable[[], Any]) -> Any:
    """What `condition` gives once that is true; an AssertionError if it was not in 6,000 looks, a minute at least."""
    for _ in range(6000):
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError("it never came to this")
