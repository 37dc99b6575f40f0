"""The memory of a server that runs for weeks: what is free goes back to the system.

glibc has a heap for each of many threads, and keeps in each of them whatever lies below the last piece in use. Analyses
come and go in pieces of many megabytes, made by changing threads, so that the heaps grow beyond all that was in use
at any time. Elsewhere than under glibc nothing is done.
"""

from __future__ import annotations

import ctypes
from typing import Any

_MOST_HEAPS = -8
_HEAPS = 2


def use_few_heaps() -> None:
    """Share two heaps among all threads, those that begin after this call."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_MOST_HEAPS, _HEAPS)


def give_back() -> None:
    """Give the system what is free in any heap; takes milliseconds."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)


def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # no such library; Windows
        return None
