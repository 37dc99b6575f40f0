"""The SIFA operator as matrix products: the portable path for any device.

Every dot product that the taps need is an entry of Q M^T, so the scores are gathered from that matrix, and the
weighted sums are products of a sparse-by-content matrix with M. Nothing of size K*C per place is ever made; memory is
bounded by working on a band of places at a time.

N images, C channels, K taps, P = H*W places, B places in a band.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from sifa_core.ops.arguments import ALL, BackwardInputs, Gradients, Needs, Settings, compute_dtype
from sifa_core.ops.corners import Corners, bilinear_corners
from sifa_core.ops.layout import empty

_BAND_ENTRIES = 2**22
"""Entries of one score matrix (N*B*P): 16 MiB in float32, which keeps a band near the caches."""


def _bands(places: int, images: int) -> Iterator[slice]:
    step = max(1, min(places, _BAND_ENTRIES // max(1, images * places)))
    for start in range(0, places, step):
        yield slice(start, min(start + step, places))


def _rows(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """[N, C, H, W] to one row of C channels per place: [N, P, C]."""
    return tensor.to(dtype).flatten(2).transpose(1, 2)


class _Band:
    """One band of places: reads and writes the matrix of places against cells at the points' corners."""

    def __init__(self, corners: Corners, band: slice) -> None:
        index, self.weight, self.slope_y, self.slope_x = (f[..., band].permute(0, 3, 1, 2) for f in corners)
        self.taps = index.shape[2]
        self.index = index.flatten(2)

    def gather(self, scores: torch.Tensor) -> torch.Tensor:
        """[N, B, P] scores at each corner: [N, B, K, 4]."""
        return scores.gather(2, self.index).unflatten(2, (self.taps, 4))

    def scatter(self, values: torch.Tensor, places: int) -> torch.Tensor:
        """[N, B, K] values spread over each point's corners: [N, B, P]."""
        spread = (values.unsqueeze(-1) * self.weight).flatten(2)
        return values.new_zeros((*values.shape[:2], places)).scatter_add_(2, self.index, spread)


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate [N, C, H, W] and weights [N, K, H, W]."""
    batch, channels, height, width = query.shape
    taps, places = settings.taps, height * width
    dtype = compute_dtype(query.dtype)
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size)
    q, m = _rows(query, dtype), _rows(memory, dtype)
    aggregate, weights = empty(query, channels, dtype), empty(query, taps, dtype)
    aggregate_rows, weight_rows = _rows(aggregate, dtype), _rows(weights, dtype)
    for band in _bands(places, batch):
        here = _Band(corners, band)
        scores = here.gather(q[:, band] @ m.transpose(1, 2))
        w = settings.factor(channels) * (scores * here.weight).sum(-1)
        if settings.scale == "softmax":
            w = w.softmax(-1)
        weight_rows[:, band] = w
        aggregate_rows[:, band] = here.scatter(w, places) @ m
    return aggregate.to(query.dtype), weights.to(query.dtype)


def attention_backward(given: BackwardInputs, settings: Settings, needs: Needs = ALL) -> Gradients:
    """Gradients of query, memory and offset."""
    grad_aggregate, grad_weights, query, memory, offset, weights = given
    places = query.shape[2] * query.shape[3]
    dtype, factor = compute_dtype(query.dtype), settings.factor(query.shape[1])
    corners = bilinear_corners(offset.to(dtype), settings.kernel_size)
    q, m, g, w_all = (_rows(tensor, dtype) for tensor in (query, memory, grad_aggregate, weights))
    gw_all = torch.zeros_like(w_all) if grad_weights is None else _rows(grad_weights, dtype)
    grads = [
        empty(t, t.shape[1], dtype).zero_() if need else None
        for t, need in zip((query, memory, offset), needs, strict=True)
    ]
    to_query, to_memory, to_offset = (None if grad is None else _rows(grad, dtype) for grad in grads)
    for band in _bands(places, query.shape[0]):
        here = _Band(corners, band)
        w = w_all[:, band]
        grad_dot = here.gather(g[:, band] @ m.transpose(1, 2))
        grad_logit = gw_all[:, band] + (grad_dot * here.weight).sum(-1)
        if settings.scale == "softmax":
            grad_logit = w * (grad_logit - (w * grad_logit).sum(-1, keepdim=True))
        grad_logit = factor * grad_logit
        of_logit = here.scatter(grad_logit, places)
        if to_query is not None:
            to_query[:, band] = of_logit @ m
        if to_memory is not None:
            to_memory += here.scatter(w, places).transpose(1, 2) @ g[:, band]
            to_memory += of_logit.transpose(1, 2) @ q[:, band]
        if to_offset is not None:
            query_dot = here.gather(q[:, band] @ m.transpose(1, 2))
            corner_value = w.unsqueeze(-1) * grad_dot + grad_logit.unsqueeze(-1) * query_dot
            slopes = torch.stack((here.slope_y, here.slope_x), dim=3)  # [N, B, K, 2, 4]
            to_offset[:, band] = (corner_value[:, :, :, None] * slopes).sum(-1).flatten(2)
    inputs = (query, memory, offset)
    return tuple(None if grad is None else grad.to(t.dtype) for grad, t in zip(grads, inputs, strict=True))
