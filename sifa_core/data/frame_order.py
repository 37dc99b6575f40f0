"""Orders in which a clip's frames are shown as a control: indices [T] into its T frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Order = NDArray[np.int64]


def frozen_order(frames: int, shown: int | None = None) -> Order:
    """Frame `shown`, the middle one by default, all the time."""
    return np.full(frames, frames // 2 if shown is None else shown, np.int64)


def reversed_order(frames: int) -> Order:
    """From the last frame to the first."""
    return np.arange(frames)[::-1]


def shuffled_order(frames: int, generator: np.random.Generator) -> Order:
    """A random order that is never the original one, unless there is a single frame."""
    identity = np.arange(frames)
    order = generator.permutation(frames)
    while frames > 1 and np.array_equal(order, identity):
        order = generator.permutation(frames)
    return order


def held_order(frames: int, count: int) -> Order:
    """Every run of `count` frames shows its middle one."""
    return np.minimum(np.arange(frames) // count * count + count // 2, frames - 1)
