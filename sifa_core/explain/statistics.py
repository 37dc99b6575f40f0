"""Whether a layer's offsets and weights are alive: magnitude, direction, out-of-frame fraction, attention entropy.

Legend: T attended frames, K taps, h x w cells.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from sifa_core.explain.geometry import FeatureGrid, FloatArray, regular_taps
from sifa_core.explain.trace import LayerTrace

DIRECTIONS = 8
"""Sectors of the direction histogram; sector 0 is centred on "right", then clockwise as seen (y points down)."""


@dataclass(frozen=True)
class OffsetStatistics:
    """Statistics of one layer, each an array over the T attended frames unless it says otherwise."""

    mean_magnitude: FloatArray
    """Mean length of an offset, cells."""
    max_magnitude: FloatArray
    """Largest length of an offset, cells."""
    mean_magnitude_pixels: FloatArray
    """Mean length of an offset, pixels of the clip as shown."""
    mean_displacement: FloatArray
    """[T, 2]: attention-weighted mean of (tap + offset) over the map, (x, y) in cells."""
    direction: FloatArray
    """[T, 8]: fraction of the summed offset length in each of 8 directions, from "right" clockwise; else zeros."""
    out_of_frame: FloatArray
    """Fraction of sampling points that lie beyond the picture; the regular grid alone has some at the borders."""
    attention_entropy: FloatArray
    """Mean entropy of the weights over the taps, as a fraction of its maximum: 1 all alike, 0 all on one tap."""

    def to_dict(self) -> dict[str, list]:
        """Plain lists, for JSON."""
        return {name: value.tolist() for name, value in asdict(self).items()}


def offset_statistics(trace: LayerTrace, grid: FeatureGrid) -> OffsetStatistics:
    """Statistics of one traced layer on its grid. Weights may be negative; their absolute values count as fractions."""
    frames, taps = trace.offset.shape[:2]
    offset = trace.offset.astype(float)
    length = np.linalg.norm(offset, axis=2)  # [T, K, h, w]
    length_pixels = np.linalg.norm(offset * grid.stride[:, None, None], axis=2)

    rows, columns = np.mgrid[: grid.rows, : grid.columns]
    cells = np.stack([columns, rows])
    displacement = regular_taps(trace.kernel_size)[:, :, None, None] + offset  # [T, K, 2, h, w]
    pixels = grid.to_pixels(np.moveaxis(cells + displacement, 2, -1))

    fraction = attention_fractions(trace.weights)
    entropy = -(fraction * np.log(np.where(fraction > 0, fraction, 1))).sum(1) / max(np.log(taps), 1e-12)
    mean_displacement = (fraction[:, :, None] * displacement).sum(1).mean((2, 3))

    sector = np.round(np.arctan2(offset[:, :, 1], offset[:, :, 0]) / (2 * np.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    by_sector = np.stack([(length * (sector == number)).sum((1, 2, 3)) for number in range(DIRECTIONS)], axis=1)
    total = by_sector.sum(1, keepdims=True)
    return OffsetStatistics(
        mean_magnitude=length.mean((1, 2, 3)),
        max_magnitude=length.reshape(frames, -1).max(1),
        mean_magnitude_pixels=length_pixels.mean((1, 2, 3)),
        mean_displacement=mean_displacement,
        direction=np.divide(by_sector, total, out=np.zeros_like(by_sector), where=total > 0),
        out_of_frame=1 - grid.contains(pixels).mean((1, 2, 3)),
        attention_entropy=entropy.mean((1, 2)),
    )


def magnitude_histogram(trace: LayerTrace, t: int, bins: int = 24) -> tuple[FloatArray, FloatArray]:
    """How long the offsets of frame t are: fraction [bins] of them in each bin, and the edges [bins + 1] in cells.

    The bins reach from 0 to the layer's longest offset in any frame, so that frames can be compared; to 1 for a layer
    whose offsets are all but zero.
    """
    length = np.linalg.norm(trace.offset.astype(float), axis=2)
    longest = float(length.max())
    counts, edges = np.histogram(length[t], bins=bins, range=(0.0, longest if longest > 1e-3 else 1.0))
    return counts / counts.sum(), edges


def regular_out_of_frame(grid: FeatureGrid, kernel_size: int) -> float:
    """The fraction of sampling points beyond the picture that the regular grid has by itself, at the borders."""
    row, column = np.mgrid[: grid.rows, : grid.columns]
    places = np.stack([column, row]) + regular_taps(kernel_size)[:, :, None, None]
    return 1 - float(grid.contains(grid.to_pixels(np.moveaxis(places, 1, -1))).mean())


def attention_fractions(weights: FloatArray) -> FloatArray:
    """|weights| [T, K, h, w] as fractions that sum to 1 over the taps; where all are zero, equal fractions."""
    magnitude = np.abs(weights.astype(float))
    total = magnitude.sum(1, keepdims=True)
    return np.divide(magnitude, total, out=np.full_like(magnitude, 1 / weights.shape[1]), where=total > 0)
