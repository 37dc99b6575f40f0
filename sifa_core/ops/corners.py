"""Bilinear sampling written as four grid cells and four coefficients per sampling point (Eq. 6).

N images, K taps, P = H*W places, 4 corners: (top, left), (top, right), (bottom, left), (bottom, right).
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Corners(NamedTuple):
    """Where each sampling point reads, every field [N, K, 4, P]. A corner outside the map has coefficient zero."""

    cell: torch.Tensor
    """Cell number y*W + x, always within 0..P-1."""
    weight: torch.Tensor
    """Bilinear coefficient."""
    slope_y: torch.Tensor
    """Derivative of the coefficient with respect to the point's row."""
    slope_x: torch.Tensor
    """Derivative of the coefficient with respect to the point's column."""


def bilinear_corners(offset: torch.Tensor, kernel_size: int) -> Corners:
    """Corners of the points that `offset` [N, 2K, H, W], in cells as (dy, dx) pairs, moves off the regular grid.

    A point that lies a whole cell or more outside, or is not a number, has four zero coefficients. At integer
    positions, where bilinear interpolation has a kink, the slopes are those of the cell to the lower right.
    """
    height, width = offset.shape[-2:]
    device, dtype = offset.device, offset.dtype
    tap = torch.arange(kernel_size * kernel_size, device=device)
    tap_y = torch.div(tap, kernel_size, rounding_mode="floor") - kernel_size // 2
    tap_x = tap % kernel_size - kernel_size // 2
    place_y = torch.arange(height, device=device).repeat_interleave(width)
    place_x = torch.arange(width, device=device).repeat(height)
    y = offset[:, 0::2].flatten(2) + (tap_y[:, None] + place_y).to(dtype)
    x = offset[:, 1::2].flatten(2) + (tap_x[:, None] + place_x).to(dtype)

    # Comparisons with NaN are false, so NaN counts as outside and never reaches an index.
    inside = (y >= -1) & (y < height) & (x >= -1) & (x < width)
    y, x = torch.where(inside, y, 0), torch.where(inside, x, 0)
    top, left = y.floor(), x.floor()
    fraction_y, fraction_x = y - top, x - left

    fields: list[tuple[torch.Tensor, ...]] = []
    for down in (0, 1):
        for right in (0, 1):
            row, column = top + down, left + right
            valid = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight_y = fraction_y if down else 1 - fraction_y
            weight_x = fraction_x if right else 1 - fraction_x
            index = row.clamp(0, max(height - 1, 0)).long() * width + column.clamp(0, max(width - 1, 0)).long()
            slope_y = weight_x if down else -weight_x
            slope_x = weight_y if right else -weight_y
            fields.append((index, *(torch.where(valid, f, 0) for f in (weight_y * weight_x, slope_y, slope_x))))
    return Corners(*(torch.stack(parts, dim=2) for parts in zip(*fields, strict=True)))
