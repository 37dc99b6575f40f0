"""What this machine can do at best, and how much work the operator is: the two sides of a roofline.

Ceilings are measured with PyTorch's own copy, dot product and matrix product, in the same run and with the same
threads as the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import torch


class Ceilings(NamedTuple):
    """Best rates seen on this machine."""

    memory: float
    """Bytes per second, reading and writing arrays far larger than the caches."""
    cache: float
    """Bytes per second, reading arrays that stay in each core's second-level cache, all threads together."""
    compute: float
    """float32 operations per second in a matrix product."""


class Work(NamedTuple):
    """What one call must do."""

    operations: float
    """float32 additions and multiplications."""
    memory: float
    """Bytes that must be read and written if every input is read once and every result written once."""
    cache: float
    """Bytes that the arithmetic reads and writes, most of them from and to the caches."""


def _best(function: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def measure() -> Ceilings:
    """Measure this machine; takes a second or two."""
    large, copy = torch.ones(2, 2**25)
    memory = 2 * large.nbytes / _best(lambda: copy.copy_(large), 8)
    # 384 KiB on one thread: short enough for the cache, and no other thread has to be woken for it, which would take
    # longer than the reading itself.
    left, right = torch.ones(2, 48 * 1024)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cache = threads * 2 * left.nbytes / _best(lambda: torch.dot(left, right), 400)
    torch.set_num_threads(threads)
    a, b = torch.randn(2, 1024, 1024)
    compute = 2 * 1024**3 / _best(lambda: a @ b, 20)
    return Ceilings(memory, cache, compute)


def work(shape: tuple[int, int, int, int], kernel_size: int, backward: bool) -> Work:
    """Work of one forward, or of one forward and backward, in float32 for (N, C, H, W) features."""
    batch, channels, height, width = shape
    places, taps = batch * height * width, kernel_size**2
    products = places * taps * channels
    maps, points = 4 * places * channels, 4 * places * taps
    # Per product: 7 to blend four cells, 2 for the dot product, 2 for the sum. Five numbers read and one written while
    # blending, one read while summing.
    total = Work(11 * products, 3 * maps + 3 * points, 4 * 7 * products)
    if backward:
        # 8 to blend with both slopes, 10 for five dot products, 2 for the query, 11 to spread over four cells. Six read
        # and one written while blending, one read while summing, six read and four written while spreading.
        more = Work(31 * products, 5 * maps + 7 * points, 4 * 18 * products)
        total = Work(*(a + b for a, b in zip(total, more, strict=True)))
    return total


def shares(work_done: Work, seconds: float, ceilings: Ceilings) -> dict[str, float]:
    """Share of each ceiling that a call of this duration reached."""
    return {
        "compute": work_done.operations / seconds / ceilings.compute,
        "memory": work_done.memory / seconds / ceilings.memory,
        "cache": work_done.cache / seconds / ceilings.cache,
    }
