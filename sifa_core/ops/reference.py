"""The SIFA operator as the paper defines it (Eq. 1, 6, 7), in plain PyTorch; all back ends are tested against it.

N images, C channels, K taps, P = H*W places.
"""

from __future__ import annotations

import torch

from sifa_core.ops.arguments import ALL, BackwardInputs, Gradients, Needs, Settings, compute_dtype
from sifa_core.ops.corners import bilinear_corners


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate [N, C, H, W] and weights [N, K, H, W]; differentiable by autograd, to any order."""
    batch, channels, height, width = query.shape
    taps, places = settings.taps, height * width
    dtype = compute_dtype(query.dtype)
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size)

    index = corners.cell.reshape(batch, 1, taps * 4 * places).expand(-1, channels, -1)
    cells = memory.to(dtype).flatten(2).gather(2, index).reshape(batch, channels, taps, 4, places)
    samples = (cells * corners.weight[:, None]).sum(3)

    weights = settings.factor(channels) * (query.to(dtype).reshape(batch, channels, 1, places) * samples).sum(1)
    if settings.scale == "softmax":
        weights = weights.softmax(1)
    aggregate = (weights[:, None] * samples).sum(2)
    return (
        aggregate.reshape(query.shape).to(query.dtype),
        weights.reshape(batch, taps, height, width).to(query.dtype),
    )


def attention_backward(
    given: BackwardInputs, settings: Settings, needs: Needs = ALL, *, create_graph: bool = False
) -> Gradients:
    """Gradients of query, memory and offset by autograd of `attention`.

    The weights, which other back ends read, are computed anew. With `create_graph` the gradients can be differentiated
    again.
    """
    with torch.enable_grad():
        # An alias each: query and memory may be one tensor, and each is to get its own part of the gradient.
        tensors = (given.query, given.memory, given.offset)
        aliases = [t.view_as(t) if create_graph else t.detach() for t in tensors]
        inputs = [t if t.requires_grad else t.requires_grad_(need) for t, need in zip(aliases, needs, strict=True)]
        outputs = attention(inputs[0], inputs[1], inputs[2], settings)
        directions = (given.grad_aggregate, given.grad_weights)
        used = 2 if given.grad_weights is not None else 1
        wanted = [t for t, need in zip(inputs, needs, strict=True) if need]
        grads = iter(torch.autograd.grad(outputs[:used], wanted, directions[:used], create_graph=create_graph))
    return tuple(next(grads) if need else None for need in needs)
