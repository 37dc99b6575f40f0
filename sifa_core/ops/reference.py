"""The SIFA operator as the paper defines it (Eq. 1, 6, 7), in plain PyTorch; all back ends are tested against it.

N images, G groups, C channels, K taps, P = H*W places.
"""

from __future__ import annotations

import torch

from sifa_core.ops.arguments import Settings, compute_dtype
from sifa_core.ops.corners import Corners, bilinear_corners


def sample(memory: torch.Tensor, corners: Corners, coefficient: torch.Tensor) -> torch.Tensor:
    """Weighted sum over each point's four corners: memory (N, C, P) and coefficient (N, K, 4, P) to (N, C, K, P)."""
    batch, channels, places = memory.shape
    taps = coefficient.shape[1]
    index = corners.cell.reshape(batch, 1, taps * 4 * places).expand(-1, channels, -1)
    values = memory.gather(2, index).view(batch, channels, taps, 4, places)
    return (values * coefficient[:, None]).sum(3)


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate (N, C, H, W) and weights (N, G*K, H, W); differentiable by autograd."""
    batch, channels, height, width = query.shape
    groups, taps, places = settings.groups, settings.taps, height * width
    dtype = compute_dtype(query.dtype)
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size, settings.dilation)
    samples = sample(memory.to(dtype).flatten(2), corners, corners.weight)

    grouped_query = query.to(dtype).reshape(batch, groups, channels // groups, 1, places)
    samples = samples.view(batch, groups, channels // groups, taps, places)
    weights = settings.factor(channels) * (grouped_query * samples).sum(2)
    if settings.scale == "softmax":
        weights = weights.softmax(2)
    aggregate = (weights[:, :, None] * samples).sum(3)
    return (
        aggregate.reshape(query.shape).to(query.dtype),
        weights.reshape(batch, groups * taps, height, width).to(query.dtype),
    )


def attention_backward(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    settings: Settings,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of query, memory and offset by the chain rule, written out; `weights` is what the forward returned."""
    batch, channels, height, width = query.shape
    groups, taps, places = settings.groups, settings.taps, height * width
    dtype, factor = compute_dtype(query.dtype), settings.factor(channels)
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size, settings.dilation)
    flat_memory = memory.to(dtype).flatten(2)

    by_group = (batch, groups, channels // groups, taps, places)
    q, g = (t.to(dtype).reshape(batch, groups, channels // groups, 1, places) for t in (query, grad_aggregate))
    w, gw = (t.to(dtype).reshape(batch, groups, taps, places) for t in (weights, grad_weights))
    samples = sample(flat_memory, corners, corners.weight).view(by_group)

    grad_logit = gw + (g * samples).sum(2)
    if settings.scale == "softmax":
        grad_logit = w * (grad_logit - (w * grad_logit).sum(2, keepdim=True))
    grad_logit = factor * grad_logit
    grad_query = (grad_logit[:, :, None] * samples).sum(3)
    grad_samples = (w[:, :, None] * g + grad_logit[:, :, None] * q).reshape(batch, channels, taps, places)

    spread = (grad_samples[:, :, :, None] * corners.weight[:, None]).reshape(batch, channels, taps * 4 * places)
    index = corners.cell.reshape(batch, 1, taps * 4 * places).expand(-1, channels, -1)
    grad_memory = torch.zeros_like(flat_memory).scatter_add(2, index, spread)

    grad_y, grad_x = (
        (grad_samples * sample(flat_memory, corners, slope)).sum(1) for slope in (corners.slope_y, corners.slope_x)
    )
    return (
        grad_query.reshape(query.shape).to(query.dtype),
        grad_memory.reshape(memory.shape).to(memory.dtype),
        torch.stack((grad_y, grad_x), dim=2).reshape(offset.shape).to(offset.dtype),
    )
