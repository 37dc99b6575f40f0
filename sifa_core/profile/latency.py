"""How long a forward takes on this machine."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

from sifa_core import ops
from sifa_core.models import VideoModel

WARM_UP = 2
"""Forwards before the first that counts: they build kernels and fill caches."""


@dataclass(frozen=True)
class Latency:
    """Times of one forward, in milliseconds."""

    median: float
    fastest: float
    repeats: int
    """Forwards that were timed."""
    device: str
    """E.g. "cpu"."""
    threads: int
    """Threads of one operation on the CPU."""
    backend: str
    """What runs the SIFA operator."""


def measure_latency(model: VideoModel, shape: tuple[int, ...], *, repeats: int = 5) -> Latency:
    """Time `repeats` forwards in inference, each on the same random clips of `shape` [B, 3, T, H, W]."""
    device = next(model.parameters()).device
    video = torch.randn(shape, device=device)
    model.eval()
    times = []
    with torch.inference_mode():
        for turn in range(WARM_UP + repeats):
            start = time.perf_counter()
            model(video)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn >= WARM_UP:
                times.append(1000 * (time.perf_counter() - start))
    median, fastest = statistics.median(times), min(times)
    return Latency(median, fastest, repeats, str(device), torch.get_num_threads(), ops.backend(device))
