"""One way to time calls, on a CPU and on a GPU; needs PyTorch and the standard library only.

On a CPU all calls take turns of two, the second of which counts: a disturbance hits all of them, and nobody pays for
the caches and the heap that another has filled. On a GPU each call is captured in a CUDA graph, so that launching it
costs the host nothing, and works through copies of its inputs that together do not fit the second-level cache.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

Inputs = tuple[torch.Tensor, ...]
Function = Callable[..., Sequence[torch.Tensor]]
WARM_UPS = 2
"""Rounds before the ones that count: kernels compile, buffers fill."""
_CALLS_BEFORE_CAPTURE = 3


class Call(NamedTuple):
    """What is timed: `function(*inputs)`."""

    function: Callable[..., Any]
    inputs: Inputs


class Times(NamedTuple):
    """Seconds of one call."""

    median: float
    fastest: float


def forward(function: Function, inputs: Inputs) -> Call:
    """The function alone, as in inference."""

    def run(*given: torch.Tensor) -> Sequence[torch.Tensor]:
        with torch.no_grad():
            return function(*given)

    return Call(run, inputs)


def forward_and_backward(function: Function, inputs: Inputs, grad: torch.Tensor) -> Call:
    """The function and the gradients of all its inputs from `grad`, that of its first result; none is accumulated."""

    def run(*given: torch.Tensor) -> Sequence[torch.Tensor]:
        *needing, direction = given
        return torch.autograd.grad(function(*needing)[0], needing, direction)

    return Call(run, (*(t.detach().requires_grad_() for t in inputs), grad))


def measure(calls: Mapping[str, Call], device: torch.device | str, repeats: int) -> dict[str, Times]:
    """Times of each call on `device`, "cpu" or a CUDA device, over `repeats` rounds."""
    if torch.device(device).type == "cuda":
        return {name: _replayed(call, torch.device(device), repeats) for name, call in calls.items()}
    return _in_turns(calls, repeats)


def _in_turns(calls: Mapping[str, Call], repeats: int) -> dict[str, Times]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(WARM_UPS + repeats):
        for name, (function, inputs) in calls.items():
            function(*inputs)
            start = time.perf_counter()
            function(*inputs)
            taken = time.perf_counter() - start
            if round_number >= WARM_UPS:
                seconds[name].append(taken)
    return {name: Times(statistics.median(values), min(values)) for name, values in seconds.items()}


def rotating(inputs: Inputs, cache_bytes: int) -> list[Inputs]:
    """At least two copies of the inputs, together more than twice as large as a cache of `cache_bytes`."""
    size = sum(t.numel() * t.element_size() for t in inputs)
    count = max(2, 2 * cache_bytes // max(size, 1) + 1)
    return [tuple(t.detach().clone().requires_grad_(t.requires_grad) for t in inputs) for _ in range(count)]


def _replayed(call: Call, device: torch.device, repeats: int) -> Times:
    with torch.cuda.device(device):
        copies = rotating(call.inputs, torch.cuda.get_device_properties(device).L2_cache_size)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_CALLS_BEFORE_CAPTURE):
                call.function(*copies[0])
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for inputs in copies:
                call.function(*inputs)
        seconds = []
        for round_number in range(WARM_UPS + repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            if round_number >= WARM_UPS:
                seconds.append(start.elapsed_time(end) / 1e3 / len(copies))
    return Times(statistics.median(seconds), min(seconds))
