"""Calls the compiled CPU kernels (cuda/cpu) on PyTorch's tensors.

N images, G groups, C channels, K taps. The kernels want channels_last maps and release Python's lock while they run.
"""

from __future__ import annotations

import ctypes

import torch

from sifa_core.ops.arguments import Settings, compute_dtype
from sifa_core.ops.build import load_library

_SOURCE = "cpu/attention.cpp"
_STORAGE = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
}


class _Problem(ctypes.Structure):
    """`struct Problem` of the kernel source, field for field."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("images", "channels", "height", "width")),
        *((name, ctypes.c_int64) for name in ("kernel", "dilation", "groups", "softmax", "threads")),
        *((name, ctypes.c_int64) for name in ("query_stride", "memory_stride", "offset_stride")),
        ("factor", ctypes.c_double),
    ]


def prepare() -> None:
    """Build and load the library. Raises `build.BuildError` where that cannot be done."""
    load_library(_SOURCE)


def _laid_out(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with every image dense and channels_last; images may lie any distance apart."""
    _, channels, _, width = tensor.shape
    wanted = (1, width * channels, channels)
    sizes, strides = tensor.shape[1:], tensor.stride()[1:]
    if all(size == 1 or stride == want for size, stride, want in zip(sizes, strides, wanted, strict=True)):
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor wholly dense and channels_last."""
    laid_out = _laid_out(tensor)
    if laid_out.shape[0] == 1 or laid_out.stride(0) == tensor[0].numel():
        return laid_out
    return laid_out.contiguous(memory_format=torch.channels_last)


def _empty(like: torch.Tensor, channels: int, dtype: torch.dtype) -> torch.Tensor:
    batch, _, height, width = like.shape
    return like.new_empty((batch, height, width, channels), dtype=dtype).permute(0, 3, 1, 2)


def _call(
    direction: str,
    settings: Settings,
    inputs: tuple[torch.Tensor, ...],
    outputs: tuple[torch.Tensor, ...],
) -> None:
    query, memory, offset = inputs[:3]
    images, channels, height, width = query.shape
    problem = _Problem(
        images,
        channels,
        height,
        width,
        settings.kernel_size,
        settings.dilation,
        settings.groups,
        settings.scale == "softmax",
        torch.get_num_threads(),
        query.stride(0),
        memory.stride(0),
        offset.stride(0),
        settings.factor(channels),
    )
    function = getattr(load_library(_SOURCE), f"sifa_{direction}_{_STORAGE[query.dtype]}")
    addresses = (
        (ctypes.c_void_p * len(group))(*(tensor.data_ptr() for tensor in group)) for group in (inputs, outputs)
    )
    if function(ctypes.byref(problem), *addresses):
        raise MemoryError(f"sifa_{direction}_{_STORAGE[query.dtype]} ran out of memory")


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate (N, C, H, W) and weights (N, G*K, H, W)."""
    real = compute_dtype(query.dtype)
    aggregate = _empty(query, query.shape[1], query.dtype)
    weights = _empty(query, settings.groups * settings.taps, query.dtype)
    inputs = (_laid_out(query), _laid_out(memory), _laid_out(offset.to(real)))
    _call("forward", settings, inputs, (aggregate, weights))
    return aggregate, weights


def attention_backward(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    settings: Settings,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of query, memory and offset; `weights` is what the forward returned."""
    real = compute_dtype(query.dtype)
    grad_query = _empty(query, query.shape[1], query.dtype)
    grad_memory = _empty(query, query.shape[1], real)
    grad_offset = _empty(query, offset.shape[1], real)
    grad_logits = _empty(query, settings.groups * settings.taps, real)
    inputs = (
        *(_laid_out(query), _laid_out(memory), _laid_out(offset.to(real))),
        *(_dense(grad_aggregate), _dense(grad_weights), _dense(weights)),
    )
    _call("backward", settings, inputs, (grad_query, grad_memory, grad_offset, grad_logits))
    return grad_query, grad_memory.to(memory.dtype), grad_offset.to(offset.dtype)
