"""What this machine can do at best, and how much work the operator is: the two sides of a roofline.

Ceilings are measured in the same run as the rest, for as many threads: memory with PyTorch's copy, caches and
arithmetic with loops that do nothing else (loops/loops.cpp), one thread's rate times the number of threads.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from sifa_core.ops.build import load_library

_LOOPS = str(Path(__file__).parent / "loops" / "loops.cpp")
_FIRST_LEVEL, _SECOND_LEVEL = 16 * 2**10, 256 * 2**10
"""Bytes that fit the caches of any processor of today and, the second, not its first level."""
_MULTIPLY_ADDS = 6
"""For a channel of a tap in the forward: four corners, the product with the query, the weighted sum."""


class Ceilings(NamedTuple):
    """Best rates seen on this machine, all threads together."""

    memory: float
    """Bytes per second, reading and writing arrays far larger than the caches."""
    second_level: float
    """Bytes per second, reading an array that stays in each core's second-level cache."""
    cache: float
    """Bytes per second, reading an array that stays in each core's first-level cache."""
    compute: float
    """float32 operations per second, two for a multiply-add."""


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
    loops, threads = load_library(_LOOPS), torch.get_num_threads()
    loops.multiply_and_add.restype = ctypes.c_int64
    repeats = ctypes.c_int64(20_000)
    numbers = loops.multiply_and_add(repeats)
    compute = threads * 2 * numbers / _best(lambda: loops.multiply_and_add(repeats), 400)
    return Ceilings(memory, threads * _reading(loops, _SECOND_LEVEL), threads * _reading(loops, _FIRST_LEVEL), compute)


def _reading(loops: ctypes.CDLL, size: int) -> float:
    """Bytes that one thread reads a second of an array of `size` bytes."""
    numbers, repeats = torch.ones(size // 4), 2**24 // size
    arguments = (ctypes.c_void_p(numbers.data_ptr()), ctypes.c_int64(size // 4), ctypes.c_int64(repeats))
    return size * repeats / _best(lambda: loops.read_floats(*arguments), 100)


def limit(shape: tuple[int, int, int, int], kernel_size: int, ceilings: Ceilings) -> float:
    """Seconds that the forward's multiply-adds alone take at the measured rate: no call can be faster."""
    batch, channels, height, width = shape
    return 2 * _MULTIPLY_ADDS * batch * channels * height * width * kernel_size**2 / ceilings.compute


def work(shape: tuple[int, int, int, int], kernel_size: int, backward: bool) -> Work:
    """Work of one forward, or of one forward and backward, in float32 for [N, C, H, W] features."""
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


def fractions(work_done: Work, seconds: float, ceilings: Ceilings) -> dict[str, float]:
    """Fraction of each ceiling that a call of this duration reached."""
    return {
        "compute": work_done.operations / seconds / ceilings.compute,
        "memory": work_done.memory / seconds / ceilings.memory,
        "cache": work_done.cache / seconds / ceilings.cache,
    }
