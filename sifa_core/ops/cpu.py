"""Calls the compiled CPU kernels (cuda/cpu) on PyTorch's tensors.

N images, C channels, K taps. The kernels want channels_last maps and release Python's lock while they run.
"""

from __future__ import annotations

import ctypes

import torch

from sifa_core.ops.arguments import ALL, Needs, Settings, compute_dtype
from sifa_core.ops.build import load_library
from sifa_core.ops.layout import dense, empty, laid_out

_SOURCE = "cpu/library.cpp"
_STORAGE = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
}


class Problem(ctypes.Structure):
    """`struct Problem` of the kernel source, field for field."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("images", "channels", "height", "width")),
        *((name, ctypes.c_int64) for name in ("kernel", "softmax", "threads")),
        *((name, ctypes.c_int64) for name in ("query_stride", "memory_stride", "offset_stride")),
        ("factor", ctypes.c_double),
    ]


def prepare() -> None:
    """Build and load the library. Raises `build.BuildError` where that cannot be done."""
    load_library(_SOURCE)


def describe(
    settings: Settings, query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, threads: int
) -> Problem:
    """What the kernels have to know besides addresses."""
    images, channels, height, width = query.shape
    return Problem(
        *(images, channels, height, width),
        *(settings.kernel_size, settings.scale == "softmax", threads),
        *(query.stride(0), memory.stride(0), offset.stride(0)),
        settings.factor(channels),
    )


def _call(
    direction: str,
    settings: Settings,
    inputs: tuple[torch.Tensor, ...],
    outputs: tuple[torch.Tensor, ...],
) -> None:
    query, memory, offset = inputs[:3]
    problem = describe(settings, query, memory, offset, torch.get_num_threads())
    name = f"sifa_{direction}_{_STORAGE[query.dtype]}"
    addresses = (
        (ctypes.c_void_p * len(group))(*(tensor.data_ptr() for tensor in group)) for group in (inputs, outputs)
    )
    if getattr(load_library(_SOURCE), name)(ctypes.byref(problem), *addresses):
        raise MemoryError(f"{name} ran out of memory")


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate (N, C, H, W) and weights (N, K, H, W)."""
    real = compute_dtype(query.dtype)
    aggregate = empty(query, query.shape[1], query.dtype)
    weights = empty(query, settings.taps, query.dtype)
    inputs = (laid_out(query), laid_out(memory), laid_out(offset.to(real)))
    _call("forward", settings, inputs, (aggregate, weights))
    return aggregate, weights


def attention_backward(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor | None,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    settings: Settings,
    needs: Needs = ALL,
) -> tuple[torch.Tensor | None, ...]:
    """Gradients of query, memory and offset, None for those not needed; `weights` is what the forward returned."""
    real = compute_dtype(query.dtype)
    grad_query = empty(query, query.shape[1], query.dtype)
    grad_memory = empty(query, query.shape[1], real)
    grad_offset = empty(query, offset.shape[1], real)
    grad_logits = empty(query, settings.taps, real)
    inputs = (
        *(laid_out(query), laid_out(memory), laid_out(offset.to(real))),
        dense(grad_aggregate),
        dense(torch.zeros_like(weights) if grad_weights is None else grad_weights),
        dense(weights),
    )
    _call("backward", settings, inputs, (grad_query, grad_memory, grad_offset, grad_logits))
    grads = (grad_query, grad_memory.to(memory.dtype), grad_offset.to(offset.dtype))
    return tuple(grad if need else None for grad, need in zip(grads, needs, strict=True))
