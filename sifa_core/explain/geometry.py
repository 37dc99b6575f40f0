"""From cells of a feature map to pixels of the clip and back, and from feature frames to the clip's.

Cell (i, j) of a map with stride s is centred on pixel ((j + 0.5)s - 0.5, (i + 0.5)s - 0.5); pixel centres lie at
integers. Strides are measured on the clip as shown, so they need not be whole numbers or equal along both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class FeatureGrid:
    """A feature map of `rows` x `columns` cells laid over a picture of `height` x `width` pixels."""

    rows: int
    columns: int
    height: int
    width: int

    @property
    def stride(self) -> FloatArray:
        """Pixels per cell, (x, y)."""
        return np.array([self.width / self.columns, self.height / self.rows])

    def to_pixels(self, cells: FloatArray) -> FloatArray:
        """Cell coordinates [..., 2] as (column, row) -> pixel coordinates [..., 2] as (x, y)."""
        return (cells + 0.5) * self.stride - 0.5

    def to_cells(self, pixels: FloatArray) -> FloatArray:
        """Pixel coordinates [..., 2] as (x, y) -> cell coordinates [..., 2] as (column, row)."""
        return (pixels + 0.5) / self.stride - 0.5

    def contains(self, pixels: FloatArray) -> NDArray[np.bool_]:
        """Whether pixel coordinates [..., 2] lie within the picture, which ends half a pixel past the outer centres."""
        limits = np.array([self.width, self.height]) - 0.5
        return np.asarray(((pixels >= -0.5) & (pixels <= limits)).all(-1))


def feature_frames(count: int, stride: int) -> list[int]:
    """For every feature frame of a clip of `count` frames, the frame that stands for it: the middle one of the `stride`
    that it merges."""
    return [min(t * stride + stride // 2, count - 1) for t in range(-(-count // stride))]


def read_bilinear(maps: FloatArray, cells: FloatArray) -> FloatArray:
    """Maps [..., rows, columns] read at P places (column, row) [P, 2]: [..., P]. Beyond the edge, the edge's value."""
    rows, columns = maps.shape[-2:]
    column = np.clip(cells[:, 0], 0, columns - 1)
    row = np.clip(cells[:, 1], 0, rows - 1)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right, bottom = np.minimum(left + 1, columns - 1), np.minimum(top + 1, rows - 1)
    x, y = column - left, row - top
    upper = maps[..., top, left] * (1 - x) + maps[..., top, right] * x
    lower = maps[..., bottom, left] * (1 - x) + maps[..., bottom, right] * x
    return upper * (1 - y) + lower * y


def regular_taps(kernel_size: int) -> FloatArray:
    """The k x k grid around a cell, row by row: [K, 2] as (column, row) steps."""
    reach = kernel_size // 2
    row, column = np.divmod(np.arange(kernel_size**2), kernel_size)
    return np.stack([column - reach, row - reach], axis=1).astype(float)
