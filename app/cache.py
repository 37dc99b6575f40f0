"""Analyses in memory for visitors, each with the payload that the viewer shows of it.

Least recently used first out, bounded by bytes, found only by unguessable tokens.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache

from sifa_core import Analysis
from sifa_core.data.reading import Course
from sifa_core.errors import ClipTooLargeError

TOKEN_BYTES = 24


@dataclass(frozen=True, eq=False)
class Video:
    """The file that a clip was taken from, where it may be read again."""

    path: Path
    """An example's, or what a visitor sent, which is there for ten minutes."""
    course: Course
    """Times and movement of all its frames."""
    predictions: list[tuple[str, float]] | None
    """What the model makes of all of it, see `predict_video`; None for an untrained one."""
    first: tuple[int, int]
    """Start and stride of the window that was chosen for it."""
    example: str = ""
    """The example clip's name, or nothing for one that was uploaded."""


@dataclass(frozen=True)
class CacheEntry:
    """One analysis, ready to be shown."""

    analysis: Analysis
    payload: dict[str, Any]
    """See `sifa_core.explain.render.payload`."""
    video: Video | None = None
    """None for clips that were not read from a file."""
    extras: dict[str, Any] = field(default_factory=dict)
    """What tabs have computed for it, by name; put there by `AnalysisCache.add`."""


class AnalysisCache:
    """A byte-capped store of analyses; safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: LRUCache[str, CacheEntry] = LRUCache(max_bytes, getsizeof=footprint)
        self._lock = threading.Lock()

    def put(self, entry: CacheEntry) -> str:
        """Store an analysis and return its token; others go, oldest use first, until all fit.

        Raises ClipTooLargeError for one that alone passes the limit; then nothing goes.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            with self._lock:
                self._entries[token] = entry
        except ValueError as error:
            raise ClipTooLargeError(
                f"The analysis of {entry.analysis.clip.source.name} takes {footprint(entry) / 1e6:.0f} MB; "
                f"this server keeps at most {self.max_bytes / 1e6:.0f} MB."
            ) from error
        return token

    def add(self, token: str, name: str, value: Any) -> None:
        """Store something more with an analysis that is still there, unless both together pass the limit."""
        with self._lock:
            entry = self._entries.pop(token, None)
            if entry is None:
                return
            try:
                self._entries[token] = replace(entry, extras=entry.extras | {name: value})
            except ValueError:
                self._entries[token] = entry

    def get(self, token: str) -> CacheEntry | None:
        """The analysis of a token, now the most recently used one; None if there is none (any more)."""
        with self._lock:
            return self._entries.get(token)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def max_bytes(self) -> int:
        """The limit."""
        return int(self._entries.maxsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return int(self._entries.currsize)


def footprint(value: Any) -> int:
    """Bytes of all arrays, tensors and texts within `value`; models are shared between analyses and do not count."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return int(value.nbytes)
    if isinstance(value, str):
        return len(value)
    if isinstance(value, torch.nn.Module):
        return 0
    if isinstance(value, dict):
        return sum(map(footprint, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(footprint, value))
    if is_dataclass(value):
        return sum(footprint(getattr(value, field.name)) for field in fields(value))
    return footprint(vars(value)) if isinstance(value, Analysis) else 0
