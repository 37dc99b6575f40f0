"""Do the offsets follow the motion? What a layer looks towards, against the optical flow of the clip.

Legend: T attended frames, N frames of the clip, K taps, h x w cells of a layer's map, H x W pixels of the clip as
shown. Displacements are (x, y) in cells of the map, flows (x, y) in pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.data.dis_flow import SHORTEST_SIDE, flow_estimator
from sifa_core.errors import QueryError
from sifa_core.explain.geometry import FeatureGrid, FloatArray, regular_taps
from sifa_core.explain.statistics import attention_fractions
from sifa_core.explain.trace import LayerTrace

LEAST_MOTION = 0.25
"""Cells that a place must move, from one feature frame to the next, to count as moving."""
FLOW_SIDE = 240
"""Short side, in pixels, that frames are reduced to before their flow is estimated: finer than any map of cells."""

FlowReader = Callable[[int], FloatArray]
"""Frame number n -> flow [H, W, 2] from frame n of the clip to frame n + 1, in pixels of the clip."""


@dataclass(frozen=True)
class FlowAgreement:
    """How well one layer's attention-weighted displacement agrees with the flow.

    Each figure is an array [T] of means over the cells that move; NaN for a frame in which none does, as for a last
    frame that attends to itself.
    """

    moving_cells: NDArray[np.int64]
    """Cells that stay within the picture and move by at least LEAST_MOTION."""
    cosine: FloatArray
    """Cosine of the angle between the displacement and the flow: 1 same direction, 0 unrelated, -1 opposite."""
    error: FloatArray
    """End-point error, cells: distance between the ends of both."""
    regular_cosine: FloatArray
    """The same attention on the regular grid, as if there were no offsets."""
    regular_error: FloatArray
    still_error: FloatArray
    """End-point error of no displacement at all, which is the mean length of the flow."""

    def mean(self, name: str) -> float:
        """A figure over all moving cells of all frames; NaN if nothing moves."""
        total = self.moving_cells.sum()
        return float(np.nansum(getattr(self, name) * self.moving_cells) / total) if total else float("nan")

    def to_dict(self) -> dict[str, list]:
        """Plain lists for JSON, with None where nothing moves."""
        return {
            name: [None if np.isnan(value) else value for value in values.tolist()]
            for name, values in asdict(self).items()
        }


def displacements(trace: LayerTrace) -> tuple[FloatArray, FloatArray]:
    """Attention-weighted mean of (tap + offset) and of (tap) alone, [T, 2, h, w] each; weights count by their size."""
    taps = regular_taps(trace.kernel_size)[:, :, None, None]
    fractions = attention_fractions(trace.weights)[:, :, None]
    return (fractions * (taps + trace.offset)).sum(1), (fractions * taps).sum(1)


def agreement(trace: LayerTrace, truth: Sequence[tuple[FloatArray, NDArray[np.bool_]]]) -> FlowAgreement:
    """Compare a layer with `truth`: for each frame pair, displacements [h, w, 2] and which cells [h, w] count.

    A frame without its pair in `truth` has no moving cells.
    """
    found, regular = displacements(trace)
    measures = np.full((5, len(found)), np.nan)
    cells = np.zeros(len(found), np.int64)
    for t, (displacement, moving) in enumerate(truth):
        cells[t] = moving.sum()
        if not moving.any():
            continue
        true = displacement[moving].T
        measures[:, t] = (
            *_compare(found[t][:, moving], true),
            *_compare(regular[t][:, moving], true),
            np.linalg.norm(true, axis=0).mean(),
        )
    return FlowAgreement(cells, *measures)


def _compare(estimate: FloatArray, true: FloatArray) -> tuple[float, float]:
    """Mean cosine and mean end-point error of displacements [2, places]."""
    length = np.linalg.norm(estimate, axis=0) * np.linalg.norm(true, axis=0)
    cosine = (estimate * true).sum(0) / np.maximum(length, 1e-9)
    return float(cosine.mean()), float(np.linalg.norm(estimate - true, axis=0).mean())


def flow_displacement(flows: Iterable[FloatArray], grid: FeatureGrid) -> tuple[FloatArray, NDArray[np.bool_]]:
    """How far the picture at each cell's centre moves along successive flows [H, W, 2].

    Returns displacements [h, w, 2] in cells, and which cells [h, w] never leave the picture.
    """
    start = centres(grid)
    place, limit = start.copy(), np.array([grid.width, grid.height]) - 1
    inside = np.ones(place.shape[:2], bool)
    for flow in flows:
        nearest = np.clip(np.rint(place), 0, limit).astype(int)
        place = place + flow[nearest[..., 1], nearest[..., 0]]
        inside &= ((place >= 0) & (place <= limit)).all(axis=-1)
    return (place - start) / grid.stride, inside


def centres(grid: FeatureGrid) -> FloatArray:
    """Pixel coordinates [h, w, 2] of the cells' centres."""
    row, column = np.mgrid[: grid.rows, : grid.columns]
    return grid.to_pixels(np.stack([column, row], axis=-1).astype(float))


def contrast(picture: NDArray[np.uint8], grid: FeatureGrid) -> FloatArray:
    """Standard deviation of the grey values of a picture [H, W, 3] within each cell, [h, w]."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    mean, square = (cv2.resize(v, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA) for v in (grey, grey**2))
    return np.sqrt(np.maximum(square - mean**2, 0))


def moves(displacement: FloatArray) -> NDArray[np.bool_]:
    """Which displacements [..., 2] in cells are large enough to count."""
    return np.asarray(np.linalg.norm(displacement, axis=-1) >= LEAST_MOTION)


def frame_motion(
    flow: FlowReader, frame_index: Sequence[int], grids: Sequence[FeatureGrid]
) -> list[list[tuple[FloatArray, NDArray[np.bool_]]]]:
    """For each grid, what `agreement` takes: motion from each feature frame to the next, all cells that move count.

    `frame_index[t]` is the frame of the clip that stands for feature frame t. Each flow is read once, for all grids.
    """
    found: list[list[tuple[FloatArray, NDArray[np.bool_]]]] = [[] for _ in grids]
    for first, last in itertools.pairwise(frame_index):
        flows = [flow(number) for number in range(first, last)]
        for pairs, grid in zip(found, grids, strict=True):
            displacement, inside = flow_displacement(flows, grid)
            pairs.append((displacement, inside & moves(displacement)))
    return found


def estimated_flow(frames: NDArray[np.uint8]) -> FlowReader:
    """DIS optical flow between successive frames [N, H, W, 3], as a stand-in for truth.

    It is itself an estimate: poor where there is no texture, behind what moves, and at very fast motion.
    """
    height, width = frames.shape[1:3]
    scale = min(1.0, FLOW_SIDE / min(height, width))
    size = max(SHORTEST_SIDE, round(width * scale)), max(SHORTEST_SIDE, round(height * scale))
    estimate = flow_estimator()

    def grey(number: int) -> NDArray[np.uint8]:
        picture = cv2.cvtColor(frames[number], cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    def read(number: int) -> FloatArray:
        flow = estimate(grey(number), grey(number + 1))
        full = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full * np.array([width / size[0], height / size[1]], np.float32))

    return read


def given_flow(flow: FloatArray, frames: NDArray[np.uint8]) -> FlowReader:
    """A known flow [N-1, H, W, 2]. Raises QueryError for another shape or if it is not finite."""
    expected = (len(frames) - 1, *frames.shape[1:3], 2)
    if np.shape(flow) != expected or not np.isfinite(flow).all():
        raise QueryError(f"The flow of this clip is a finite array of shape {expected}, not {np.shape(flow)}.")
    return lambda number: np.asarray(flow[number])
