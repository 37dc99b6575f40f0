"""Other ways to compute what the operator computes, or something of comparable work, and inputs to time them on.

N images, C channels, K taps. All take query, memory [N, C, H, W] and offset [N, 2K, H, W].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sifa_core.models.standalone import GridSampleAttention
from sifa_core.ops import dense, reference, sifa_attention
from sifa_core.ops.arguments import BackwardInputs, Settings

KERNEL_SIZE = 3
PAIRS = 4
"""Frame pairs of a clip: 16 frames behind a stem of temporal stride 4."""
SHAPES = {"res3": (PAIRS, 128, 28, 28), "res4": (PAIRS, 256, 14, 14), "res5": (PAIRS, 512, 7, 7)}
"""[N, C, H, W] of one clip at 224x224 in the stages that have SIFA."""

Pair = tuple[torch.Tensor, torch.Tensor]
Formulation = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Pair]
_SETTINGS = Settings(kernel_size=KERNEL_SIZE, scale="mean")


def make_inputs(shape: tuple[int, int, int, int], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Random query, memory, offset (standard deviation of one cell) and gradient, channels_last as in the network."""
    generator = torch.Generator().manual_seed(0)
    batch, _, height, width = shape
    query, memory, grad = torch.randn(3, *shape, generator=generator)
    offset = torch.randn(batch, 2 * KERNEL_SIZE**2, height, width, generator=generator)
    return tuple(t.to(dtype).contiguous(memory_format=torch.channels_last) for t in (query, memory, offset, grad))


_grid_sample = GridSampleAttention(KERNEL_SIZE, "mean")


def by_grid_sample(query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor) -> Pair:
    """What one writes without a kernel: one grid_sample for all taps, then products and sums."""
    return _grid_sample.forward(query, memory, offset)


class _Dense(torch.autograd.Function):
    """The portable form with its own gradient, as the operator calls it."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor) -> Pair:
        outputs = dense.attention(query, memory, offset, _SETTINGS)
        ctx.save_for_backward(query, memory, offset, outputs[1])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return dense.attention_backward(BackwardInputs(*grads, *ctx.saved_tensors), _SETTINGS, ctx.needs_input_grad)


def by_dense(query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor) -> Pair:
    """The portable back end."""
    return _Dense.apply(query, memory, offset)


def ours(query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor) -> Pair:
    """The operator with whichever back end it picks."""
    return sifa_attention(query, memory, offset, kernel_size=KERNEL_SIZE)


def by_compiled_reference() -> Formulation:
    """torch.compile of the definition; the first call for a shape takes long."""
    return torch.compile(lambda query, memory, offset: reference.attention(query, memory, offset, _SETTINGS))


def by_deform_conv2d() -> Formulation | None:
    """torchvision's depthwise deformable convolution: as many samples, weighed by constants. None without it."""
    try:
        from torchvision.ops import deform_conv2d
    except ImportError:
        return None

    def convolve(query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor) -> Pair:
        kernel = memory.new_ones(memory.shape[1], 1, KERNEL_SIZE, KERNEL_SIZE)
        return deform_conv2d(memory, offset, kernel, padding=KERNEL_SIZE // 2) + query, offset

    return convolve
