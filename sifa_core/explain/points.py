"""The deformable sampling points of one query and their attention weights (Fig. 5, second column).

Legend: K taps, P points; points and queries in pixels of the clip as shown, (x, y).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifa_core.explain.geometry import FeatureGrid, FloatArray, read_bilinear, regular_taps
from sifa_core.explain.trace import LayerTrace

Query = tuple[int, float, float]
"""(t, x, y): feature frame and pixel."""


@dataclass(frozen=True)
class SamplingPoints:
    """Where one query looks in the next frame. P = K for one level, K*K for two."""

    points: FloatArray
    """[P, 2] pixels."""
    weights: FloatArray
    """[P] attention weights; for two levels the products of both levels' weights."""
    base: FloatArray
    """[P, 2] pixels: the same points on the regular grid, before offsets."""
    in_frame: NDArray[np.bool_]
    """[P]: whether a point lies within the picture; beyond it the network reads zeros."""
    query: Query
    """The (t, x, y) asked for."""
    frame: int
    """The feature frame that the points lie in: t+1, or t itself for the last frame."""

    def strongest(self, count: int = 3) -> NDArray[np.intp]:
        """Numbers of the `count` points with the largest weights, largest first."""
        return np.argsort(-self.weights, kind="stable")[:count]


def compose_points(
    trace: LayerTrace, earlier: LayerTrace | None, grid: FeatureGrid, query: Query, frame: int
) -> SamplingPoints:
    """Sampling points of `query` in the layer `trace`, read bilinearly between cells.

    With `earlier`, the SIFA layer before it in the same stage, every point expands once more by that layer's offsets at
    the place it fell on, for the same pair of frames, as successive deformable convolutions do (section 4.4: 81 points
    for k = 3). A place beyond the edge takes the edge's offsets.
    """
    t, x, y = query
    origin = grid.to_cells(np.array([[x, y]]))
    cells, base, weights = _expand(trace, t, origin, origin)
    if earlier is not None:
        cells, base, outer = _expand(earlier, t, cells, base)
        weights = np.repeat(weights, earlier.kernel_size**2) * outer
    points = grid.to_pixels(cells)
    return SamplingPoints(points, weights, grid.to_pixels(base), grid.contains(points), query, frame)


def _expand(
    trace: LayerTrace, t: int, origins: FloatArray, bases: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The K points around each of P origins, and around their bases: cells and bases [P*K, 2], weights [P*K]."""
    taps = regular_taps(trace.kernel_size)
    offset = read_bilinear(trace.offset[t], origins).transpose(2, 0, 1)  # [P, K, 2]
    weights = read_bilinear(trace.weights[t], origins).T  # [P, K]
    cells = (origins[:, None] + taps + offset).reshape(-1, 2)
    return cells, (bases[:, None] + taps).reshape(-1, 2), weights.reshape(-1)
