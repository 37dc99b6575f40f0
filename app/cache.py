"""Analyses kept for visitors, each with the payload that the viewer shows of it.

Least recently used first out, bounded by bytes, found only by unguessable tokens.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
import torch

from sifa_core import Analysis
from sifa_core.errors import ClipTooLargeError

TOKEN_BYTES = 24


@dataclass(frozen=True)
class Kept:
    """One analysis, ready to be shown."""

    analysis: Analysis
    payload: dict[str, Any]
    """See `sifa_core.explain.render.payload`."""
    extras: dict[str, Any] = field(default_factory=dict)
    """What tabs have worked out for it, by name; put there by `AnalysisCache.add`."""


class AnalysisCache:
    """A byte-capped store of analyses; safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, kept: Kept) -> str:
        """Keep an analysis and return its token; others go, oldest use first, until all fit.

        Raises ClipTooLargeError for one that alone passes the limit; then nothing is put away.
        """
        size = footprint(kept)
        if size > self.max_bytes:
            raise ClipTooLargeError(
                f"The analysis of {kept.analysis.clip.source.name} takes {size / 1e6:.0f} MB; "
                f"this server keeps at most {self.max_bytes / 1e6:.0f} MB."
            )
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            self._kept[token] = kept
            self._sizes[token] = size
            self._make_room()
        return token

    def add(self, token: str, name: str, value: Any) -> None:
        """Keep something more with an analysis, if that is still kept; others go as for `put`."""
        with self._lock:
            kept = self._kept.get(token)
            if kept is None:
                return
            kept.extras[name] = value
            self._kept.move_to_end(token)
            self._sizes[token] = footprint(kept)
            self._make_room()

    def _make_room(self) -> None:
        """Let the oldest go until all fit; the newest stays, which `put` has seen to."""
        while len(self._kept) > 1 and sum(self._sizes.values()) > self.max_bytes:
            oldest, _ = self._kept.popitem(last=False)
            del self._sizes[oldest]

    def get(self, token: str) -> Kept | None:
        """The analysis of a token, now the most recently used one; None if there is none (any more)."""
        with self._lock:
            if token not in self._kept:
                return None
            self._kept.move_to_end(token)
            return self._kept[token]

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        with self._lock:
            return sum(self._sizes.values())


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
