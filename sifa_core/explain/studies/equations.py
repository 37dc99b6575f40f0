"""Equations 1 to 7 of the paper (section 3) with the numbers of one query: every step from two frames to the output.

A query lies between cells; the equations hold at cells, so the steps are those of the cell nearest to it. Equations 1
to 3 attend over the regular k x k grid; 4 to 6 move its points; 7 does what 1 to 3 did at the points moved, and is what
the network computed.

Legend: C channels, K = k*k taps row by row; cells and offsets as (column, row) = (x, y), in cells of the layer's map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifa_core.explain.analysis import Analysis
from sifa_core.explain.features import LayerFeatures, layer_features
from sifa_core.explain.geometry import FloatArray, regular_taps
from sifa_core.explain.points import Query

CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
"""The four cells around a point, (column, row) from the upper left one."""


@dataclass(frozen=True)
class Attention:
    """Equations 1 to 3 (or the three lines of 7) for one query over K sampled keys."""

    points: FloatArray
    """[K, 2] where the keys are read, cells."""
    keys: FloatArray
    """[K, C] K[t+1] (or K'), which are the values V as well."""
    products: FloatArray
    """[K] bare dot products of the query with each key."""
    weights: FloatArray
    """[K] attention weights: the products scaled as the model does."""
    aggregate: FloatArray
    """[C] A[t+1], the keys summed by their weights."""

    def strongest(self) -> int:
        """Number of the tap with the largest weight."""
        return int(self.weights.argmax())


@dataclass(frozen=True)
class EquationSteps:
    """All quantities of equations 1 to 7 for one cell of one layer."""

    cell: tuple[int, int]
    """(column, row) of the query's cell."""
    query: FloatArray
    """[C] Q[t] = f[t] at the cell."""
    following: FloatArray
    """[C] f[t+1] at the cell."""
    difference: FloatArray
    """[C] Eq. 4."""
    gate: FloatArray
    """[C] sigmoid of the difference, 0..1."""
    saliency: FloatArray
    """[C] Eq. 5, f_m at the cell."""
    difference_map: FloatArray
    """[h, w] channel mean of |Eq. 4|."""
    saliency_map: FloatArray
    """[h, w] channel mean of |Eq. 5|."""
    offset: FloatArray
    """[K, 2] how far each tap was moved, (dx, dy) in cells."""
    corners: NDArray[np.int_]
    """[K, 4, 2] the cells around each point moved: upper left, upper right, lower left, lower right."""
    shares: FloatArray
    """[K, 4] G(p, p') of Eq. 6: how much each corner counts; 0 for one outside the map."""
    corner_features: FloatArray
    """[4, C] K[t+1](p): the features at the corners of the point with the largest weight; zeros outside the map."""
    regular: Attention
    """Eq. 1 and 2: the same query over the regular grid."""
    deformed: Attention
    """Eq. 7: over the points moved, as in the forward."""
    gated: FloatArray
    """[C] what is added to the query: the aggregate, scaled channel by channel where the model has a gate."""
    output: FloatArray
    """[C] Y[t] of Eq. 7: query + gated."""
    regular_output: FloatArray
    """[C] Eq. 3: the query with the aggregate of the regular grid, without the gate."""

    def largest_channels(self, values: FloatArray, count: int) -> NDArray[np.int_]:
        """Numbers of the `count` channels whose value is farthest from zero, farthest first."""
        return np.argsort(-np.abs(values), kind="stable")[:count]


def explain_equations(analysis: Analysis, query: Query | None = None, layer: str | None = None) -> EquationSteps:
    """The steps of a query in a layer, both by default those that `Analysis.select` takes.

    Takes one more forward of the clip, see `layer_features`. Raises QueryError as `Analysis.sampling_points` does.
    """
    selection = analysis.select(query, layer, levels=1)
    t, x, y = selection.query
    attention = analysis.model.sifa_layers()[selection.layer].attention
    return equation_steps(
        layer_features(analysis.model, analysis.video, selection.layer),
        analysis.traces[selection.layer].offset,
        nearest_cell(analysis, selection.layer, x, y),
        t,
        kernel_size=attention.kernel_size,
        scale=attention.scale,
    )


def nearest_cell(analysis: Analysis, layer: str, x: float, y: float) -> tuple[int, int]:
    """(column, row) of the layer's cell that the pixel lies in."""
    grid = analysis.grid(layer)
    column, row = np.clip(np.round(grid.to_cells(np.array([x, y]))), 0, [grid.columns - 1, grid.rows - 1])
    return int(column), int(row)


def equation_steps(
    features: LayerFeatures, offset: FloatArray, cell: tuple[int, int], t: int, *, kernel_size: int, scale: str
) -> EquationSteps:
    """Steps for the cell (column, row) of frame t.

    Args:
        features: of the layer; [A, C, h, w] each.
        offset: of the layer's trace, [A, K, 2, h, w] in cells.
        scale: "mean" 1/C, "none" 1, or "softmax" over the taps; see `sifa_core.ops.sifa_attention`.
    """
    column, row = cell
    current, memory = (maps[t].astype(float) for maps in (features.query, features.memory))
    query, following = current[:, row, column], memory[:, row, column]
    gates = 0.5 + 0.5 * np.tanh(0.5 * (memory - current))  # the sigmoid, without overflow
    moves = offset[t, :, :, row, column].astype(float)
    taps = np.array(cell) + regular_taps(kernel_size)

    regular = _attend(query, memory, taps, scale)
    deformed = _attend(query, memory, taps + moves, scale)
    corners, shares = bilinear_shares(taps + moves, memory.shape[1:])
    strongest = deformed.strongest()
    gated = features.gated[t, :, row, column].astype(float)
    return EquationSteps(
        cell=cell,
        query=query,
        following=following,
        difference=following - query,
        gate=gates[:, row, column],
        saliency=gates[:, row, column] * following,
        difference_map=np.abs(memory - current).mean(0),
        saliency_map=np.abs(gates * memory).mean(0),
        offset=moves,
        corners=corners,
        shares=shares,
        corner_features=_read(memory, corners[strongest]).T,
        regular=regular,
        deformed=deformed,
        gated=gated,
        output=query + gated,
        regular_output=query + regular.aggregate,
    )


def bilinear_shares(points: FloatArray, size: tuple[int, ...]) -> tuple[NDArray[np.int_], FloatArray]:
    """Eq. 6: the four cells around each point [P, 2] and their shares, [P, 4, 2] and [P, 4]; beyond `size` share 0."""
    rows, columns = size
    corner = np.floor(points)
    within = points - corner
    corners = corner[:, None].astype(int) + CORNERS
    shares = np.where(CORNERS == 1, within[:, None], 1 - within[:, None]).prod(-1)
    is_inside = ((corners >= 0) & (corners < [columns, rows])).all(-1)
    return corners, np.where(is_inside, shares, 0.0)


def _attend(query: FloatArray, memory: FloatArray, points: FloatArray, scale: str) -> Attention:
    corners, shares = bilinear_shares(points, memory.shape[1:])
    keys = np.einsum("cpk,pk->pc", _read(memory, corners), shares)
    products = keys @ query
    weights = products if scale == "none" else products / len(query)
    if scale == "softmax":
        raised = np.exp(weights - weights.max())
        weights = raised / raised.sum()
    return Attention(points, keys, products, weights, weights @ keys)


def _read(memory: FloatArray, cells: NDArray[np.int_]) -> FloatArray:
    """memory [C, h, w] at cells [..., 2]: [C, ...], zeros outside the map."""
    limits = np.array([memory.shape[2] - 1, memory.shape[1] - 1])
    readable = np.clip(cells, 0, limits)
    is_inside = (cells == readable).all(-1)
    return np.asarray(memory[:, readable[..., 1], readable[..., 0]] * is_inside)
