"""The SIFA operator as matrix products: the portable path for any device.

Every dot product that the taps need is an entry of Q M^T, so the scores are gathered from that matrix, and the
weighted sums are products of a sparse-by-content matrix with M. Nothing of size K*C per place is ever made; memory is
bounded by working on a band of places at a time.

N images, G groups, C channels, K taps, P = H*W places, B places in a band.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sifa_core.ops.arguments import Settings, compute_dtype
from sifa_core.ops.corners import Corners, bilinear_corners

_BAND_ENTRIES = 2**22
"""Entries of one score matrix (N*G*B*P): 16 MiB in float32, which keeps a band near the caches."""


def _bands(places: int, matrices: int) -> Iterator[slice]:
    step = max(1, min(places, _BAND_ENTRIES // max(1, matrices * places)))
    for start in range(0, places, step):
        yield slice(start, min(start + step, places))


def _rows(tensor: torch.Tensor, groups: int, dtype: torch.dtype) -> torch.Tensor:
    """(N, C, H, W) to one row of C/G channels per place: (N, G, P, C/G)."""
    return tensor.to(dtype).flatten(2).unflatten(1, (groups, tensor.shape[1] // groups)).transpose(2, 3)


def _map(rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return rows.transpose(2, 3).reshape(like.shape).to(like.dtype)


class _Band:
    """One band of places: reads and writes the matrix of places against cells at the points' corners."""

    def __init__(self, corners: Corners, band: slice, groups: int) -> None:
        def lay_out(field: torch.Tensor) -> torch.Tensor:
            return field[..., band].permute(0, 3, 1, 2).unsqueeze(1)

        index, self.weight, self.slope_y, self.slope_x = (lay_out(field) for field in corners)
        self.taps = index.shape[3]
        self.index = index.flatten(3).expand(-1, groups, -1, -1)

    def gather(self, scores: torch.Tensor) -> torch.Tensor:
        """(N, G, B, P) scores at each corner: (N, G, B, K, 4)."""
        return scores.gather(3, self.index).unflatten(3, (self.taps, 4))

    def scatter(self, values: torch.Tensor, places: int) -> torch.Tensor:
        """(N, G, B, K) values spread over each point's corners: (N, G, B, P)."""
        spread = (values.unsqueeze(-1) * self.weight).flatten(3)
        return values.new_zeros((*values.shape[:3], places)).scatter_add_(3, self.index, spread)


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate (N, C, H, W) and weights (N, G*K, H, W)."""
    batch, channels, height, width = query.shape
    groups, taps, places = settings.groups, settings.taps, height * width
    dtype = compute_dtype(query.dtype)
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size, settings.dilation)
    q, m = _rows(query, groups, dtype), _rows(memory, groups, dtype)
    aggregate = torch.empty_like(q)
    weights = q.new_empty((batch, groups, places, taps))
    for band in _bands(places, batch * groups):
        here = _Band(corners, band, groups)
        scores = here.gather(q[:, :, band] @ m.transpose(2, 3))
        w = settings.factor(channels) * (scores * here.weight).sum(-1)
        if settings.scale == "softmax":
            w = w.softmax(-1)
        weights[:, :, band] = w
        aggregate[:, :, band] = here.scatter(w, places) @ m
    return (
        _map(aggregate, query),
        weights.transpose(2, 3).reshape(batch, groups * taps, height, width).to(query.dtype),
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
    """Gradients of query, memory and offset; `weights` is what the forward returned."""
    batch, channels, height, width = query.shape
    groups, taps, places = settings.groups, settings.taps, height * width
    dtype, factor = compute_dtype(query.dtype), settings.factor(channels)
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size, settings.dilation)
    q, m, g = (_rows(tensor, groups, dtype) for tensor in (query, memory, grad_aggregate))
    w_all, gw_all = (
        t.to(dtype).flatten(2).unflatten(1, (groups, taps)).transpose(2, 3) for t in (weights, grad_weights)
    )
    grad_query, grad_memory = torch.empty_like(q), torch.zeros_like(m)
    grad_offset = q.new_empty((batch, places, taps, 2))
    for band in _bands(places, batch * groups):
        here = _Band(corners, band, groups)
        w = w_all[:, :, band]
        query_dot = here.gather(q[:, :, band] @ m.transpose(2, 3))
        grad_dot = here.gather(g[:, :, band] @ m.transpose(2, 3))
        grad_logit = gw_all[:, :, band] + (grad_dot * here.weight).sum(-1)
        if settings.scale == "softmax":
            grad_logit = w * (grad_logit - (w * grad_logit).sum(-1, keepdim=True))
        grad_logit = factor * grad_logit

        of_logit = here.scatter(grad_logit, places)
        grad_query[:, :, band] = of_logit @ m
        grad_memory += here.scatter(w, places).transpose(2, 3) @ g[:, :, band]
        grad_memory += of_logit.transpose(2, 3) @ q[:, :, band]

        corner_value = w.unsqueeze(-1) * grad_dot + grad_logit.unsqueeze(-1) * query_dot
        for axis, slope in enumerate((here.slope_y, here.slope_x)):
            grad_offset[:, band, :, axis] = (corner_value * slope).sum(-1).sum(1)
    return (
        _map(grad_query, query),
        _map(grad_memory, memory),
        grad_offset.flatten(2).transpose(1, 2).reshape(offset.shape).to(offset.dtype),
    )
