"""Runs the GPU kernels (cuda/gpu) on PyTorch's tensors: chooses constants, compiles, launches.

N images, C channels, K taps, P = H*W places. Kernels are specialised by storage type, kernel size, softmax,
order of summation, and by how threads share the C channels.
"""

from __future__ import annotations

import ctypes
import functools
from typing import NamedTuple

import torch

from sifa_core.ops import driver, nvrtc
from sifa_core.ops.arguments import ALL, Needs, Settings
from sifa_core.ops.layout import dense, empty, laid_out

STORAGE = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
"""Data types that the kernels store, by the number the source knows them as."""
THREADS = 128


class Sizes(ctypes.Structure):
    """`struct Sizes` of the kernel source, field for field."""

    _fields_ = [
        *((name, ctypes.c_longlong) for name in ("images", "channels", "height", "width", "groups", "dilation")),
        *((name, ctypes.c_longlong) for name in ("query_stride", "memory_stride", "offset_stride")),
        ("factor", ctypes.c_float),
    ]


class Constants(NamedTuple):
    """What a kernel is compiled for; each becomes a macro of the same name."""

    storage: int
    kernel: int
    softmax: int
    ordered: int
    vector: int
    lanes: int
    chunks: int
    threads: int = THREADS

    def options(self) -> list[str]:
        """The compiler's -D options."""
        return [f"-DSIFA_{name.upper()}={value}" for name, value in self._asdict().items()]


def constants(settings: Settings, dtype: torch.dtype, channels: int, aligned: bool, ordered: bool) -> Constants:
    """Constants for C = `channels`; `aligned`: addresses are multiples of 16 bytes."""
    widest = 16 // dtype.itemsize
    vector = widest if aligned and channels % widest == 0 else 1
    loads = -(-channels // vector)
    lanes = 8 if loads <= 8 else 16 if loads <= 16 else 32
    chunks = -(-loads // lanes)
    if chunks * vector > 16:
        # Wider groups are worked through in steps of 16 numbers per thread, so steps must come out even.
        step = 16 // vector
        chunks = -(-chunks // step) * step
    return Constants(
        STORAGE[dtype], settings.kernel_size, int(settings.scale == "softmax"), int(ordered), vector, lanes, chunks
    )


@functools.cache
def _function(source: str, kernel: str, chosen: Constants, device: torch.device) -> ctypes.c_void_p:
    architecture = nvrtc.target(driver.capability(device))
    return driver.load(nvrtc.compile_kernels(source, chosen.options(), architecture), kernel, device)


def _launch(
    source: str,
    kernel: str,
    chosen: Constants,
    blocks: int,
    arguments: tuple[ctypes.Structure | torch.Tensor, ...],
    device: torch.device,
) -> None:
    function = _function(source, kernel, chosen, device)
    driver.launch(function, kernel, device, blocks, chosen.threads, arguments)


def _prepare(
    settings: Settings,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    others: tuple[torch.Tensor, ...],
) -> tuple[Constants, Sizes, int]:
    """Constants, sizes and the number of blocks that give every place its threads."""
    images, channels, height, width = query.shape
    maps = (query, memory, *others)
    strides = (query.stride(0), memory.stride(0))
    aligned = all(t.data_ptr() % 16 == 0 for t in maps) and all(s * query.itemsize % 16 == 0 for s in strides)
    ordered = torch.are_deterministic_algorithms_enabled()
    chosen = constants(settings, query.dtype, channels, aligned and channels * query.itemsize % 16 == 0, ordered)
    sizes = Sizes(
        *(images, channels, height, width, 1, 1),
        *(*strides, offset.stride(0), settings.factor(channels)),
    )
    places_per_block = chosen.threads // chosen.lanes
    return chosen, sizes, -(-images * height * width // places_per_block)


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate (N, C, H, W) and weights (N, K, H, W)."""
    query, memory, offset = laid_out(query), laid_out(memory), laid_out(offset.float())
    aggregate = empty(query, query.shape[1], query.dtype)
    weights = empty(query, settings.taps, query.dtype)
    chosen, sizes, blocks = _prepare(settings, query, memory, offset, (aggregate,))
    chosen = chosen._replace(ordered=0)
    arguments = (sizes, query, memory, offset, aggregate, weights)
    _launch("forward.cu", "sifa_forward", chosen, blocks, arguments, query.device)
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
    """Gradients of query, memory and offset, None for those not needed; `weights` is what the forward returned.

    The gradient of memory is added up atomically, in no fixed order, unless `torch.use_deterministic_algorithms` is on.
    """
    dtypes = memory.dtype, offset.dtype
    query, memory, offset = laid_out(query), laid_out(memory), laid_out(offset.float())
    grad, weights = dense(grad_aggregate), dense(weights)
    grad_weights = torch.zeros_like(weights) if grad_weights is None else dense(grad_weights)
    grad_query = empty(query, query.shape[1], query.dtype)
    grad_memory = empty(query, query.shape[1], torch.float32).zero_()
    grad_offset = empty(query, offset.shape[1], torch.float32)
    grad_logits = empty(query, settings.taps, torch.float32)
    chosen, sizes, blocks = _prepare(settings, query, memory, offset, (grad, grad_query))
    inputs = (sizes, query, memory, offset, grad, grad_weights, weights)
    outputs = (grad_query, grad_memory, grad_offset, grad_logits)
    _launch("backward.cu", "sifa_backward", chosen, blocks, (*inputs, *outputs), query.device)
    if chosen.ordered:
        blocks = -(-query.shape[0] * query.shape[1] // chosen.threads)
        arguments = (sizes, query, offset, grad, weights, grad_logits, grad_memory)
        _launch("backward.cu", "sifa_scatter", chosen, blocks, arguments, query.device)
    grads = (grad_query, grad_memory.to(dtypes[0]), grad_offset.to(dtypes[1]))
    return tuple(grad if need else None for grad, need in zip(grads, needs, strict=True))
