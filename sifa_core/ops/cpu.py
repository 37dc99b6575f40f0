"""Calls the compiled CPU kernels (cuda/cpu) on PyTorch's tensors.

N images, C channels, K taps. The kernels want channels_last maps and release Python's lock while they run. They read
each cell of the memory map up to 4K times, so 16-bit maps are widened once before.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import torch

from sifa_core.errors import ModelError
from sifa_core.ops.arguments import ALL, BackwardInputs, Gradients, Needs, Settings, compute_dtype
from sifa_core.ops.build import load_library, problem_structure
from sifa_core.ops.layout import dense, empty, to_channels_last

_SOURCE = "cpu/library.cpp"
_LONGEST_SIDE = 2**24
"""Cells that float32 can tell apart, and more than fit any machine's memory."""


def prepare() -> None:
    """Build and load the library. Raises `build.BuildError` where that cannot be done."""
    load_library(_SOURCE)


@functools.cache
def _function(direction: str, dtype: torch.dtype) -> Callable[..., int]:
    """The kernel for query's data type."""
    return getattr(load_library(_SOURCE), f"sifa_{direction}_{str(dtype).removeprefix('torch.')}")


def describe(
    settings: Settings, query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, threads: int
) -> ctypes.Structure:
    """What the kernels have to know besides addresses."""
    images, channels, height, width = query.shape
    if max(height, width) > _LONGEST_SIDE:
        raise ModelError(f"a map may have {_LONGEST_SIDE} rows and columns, not {height} x {width}.")
    return problem_structure("cpu")(
        images=images,
        channels=channels,
        height=height,
        width=width,
        kernel=settings.kernel_size,
        softmax=settings.scale == "softmax",
        threads=threads,
        query_stride=query.stride(0),
        memory_stride=memory.stride(0),
        offset_stride=offset.stride(0),
        factor=settings.factor(channels),
    )


def _call(
    direction: str,
    dtype: torch.dtype,
    problem: ctypes.Structure,
    inputs: tuple[torch.Tensor | None, ...],
    outputs: tuple[torch.Tensor | None, ...],
) -> None:
    addresses = (
        (ctypes.c_void_p * len(group))(*(None if tensor is None else tensor.data_ptr() for tensor in group))
        for group in (inputs, outputs)
    )
    if _function(direction, dtype)(ctypes.byref(problem), *addresses):
        raise MemoryError(f"the {direction} of the SIFA operator ran out of memory")


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate [N, C, H, W] and weights [N, K, H, W]."""
    real = compute_dtype(query.dtype)
    aggregate = empty(query, query.shape[1], query.dtype)
    weights = empty(query, settings.taps, query.dtype)
    inputs = (to_channels_last(query), to_channels_last(memory.to(real)), to_channels_last(offset.to(real)))
    problem = describe(settings, *inputs, torch.get_num_threads())
    _call("forward", query.dtype, problem, inputs, (aggregate, weights))
    return aggregate, weights


def attention_backward(given: BackwardInputs, settings: Settings, needs: Needs = ALL) -> Gradients:
    """Gradients of query, memory and offset."""
    grad_aggregate, grad_weights, query, memory, offset, weights = given
    real = compute_dtype(query.dtype)
    channels = query.shape[1]
    grad_query = empty(query, channels, query.dtype) if needs[0] else None
    grad_memory = empty(query, channels, real) if needs[1] else None
    grad_offset = empty(query, offset.shape[1], real) if needs[2] else None
    grad_logits = empty(query, settings.taps, real)
    inputs = (to_channels_last(query), to_channels_last(memory.to(real)), to_channels_last(offset.to(real)))
    gradients = (dense(grad_aggregate), None if grad_weights is None else dense(grad_weights), dense(weights))
    problem = describe(settings, *inputs, torch.get_num_threads())
    _call("backward", query.dtype, problem, (*inputs, *gradients), (grad_query, grad_memory, grad_offset, grad_logits))
    return (
        grad_query,
        None if grad_memory is None else grad_memory.to(memory.dtype),
        None if grad_offset is None else grad_offset.to(offset.dtype),
    )
