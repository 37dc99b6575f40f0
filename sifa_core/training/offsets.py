"""Do the offsets make sense? Statistics of every SIFA layer on motion15, against the true flow.

Legend: T feature frames, K taps, h x w cells of a layer's map. Displacements are (x, y) in cells of that map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sifa_core.data.motion15 import MotionConfig, MotionSample, render
from sifa_core.explain.geometry import FeatureGrid, FloatArray, regular_taps
from sifa_core.explain.statistics import attention_shares, offset_statistics
from sifa_core.explain.trace import LayerTrace, Trace
from sifa_core.models.base import VideoModel
from sifa_core.training.stream import normalise

LEAST_MOTION = 0.25
"""Cells that a place must move, from one feature frame to the next, to count as moving."""


@dataclass
class LayerReport:
    """Sums over clips for one layer; `to_dict` makes means of them."""

    magnitude: float = 0.0
    largest: float = 0.0
    out_of_frame: float = 0.0
    regular_out_of_frame: float = 0.0
    entropy: float = 0.0
    clips: int = 0
    cosine: float = 0.0
    error: float = 0.0
    regular_cosine: float = 0.0
    regular_error: float = 0.0
    still_error: float = 0.0
    cells: int = 0

    def to_dict(self) -> dict[str, float]:
        """Mean and largest offset (cells), share of points out of frame, attention entropy (0..1), and over moving
        cells: cosine and end-point error (cells) of the attention-weighted displacement, of the same attention on the
        regular grid, and the error of standing still, which is the mean true displacement."""
        clips, cells = max(self.clips, 1), max(self.cells, 1)
        return {
            "mean_offset": self.magnitude / clips,
            "max_offset": self.largest,
            "out_of_frame": self.out_of_frame / clips,
            "regular_out_of_frame": self.regular_out_of_frame / clips,
            "attention_entropy": self.entropy / clips,
            "moving_cells": self.cells,
            "flow_cosine": self.cosine / cells,
            "flow_error": self.error / cells,
            "regular_flow_cosine": self.regular_cosine / cells,
            "regular_flow_error": self.regular_error / cells,
            "still_flow_error": self.still_error / cells,
        }


@torch.inference_mode()
def offset_report(
    model: VideoModel,
    *,
    clips: int = 150,
    seed: int = 0,
    split: str = "test",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Layer name -> figures, as `LayerReport.to_dict` names them, over clips 0 to `clips` - 1 of motion15."""
    size = model.info.input_size
    config = MotionConfig(model.info.num_frames, size, size)
    reports: dict[str, LayerReport] = {}
    was_training = model.training
    model.eval()
    try:
        for index in range(clips):
            sample = render(seed, split, index, config, truth=True)
            with Trace(model) as trace:
                model(normalise(torch.from_numpy(sample.frames[None]), model.info.mean, model.info.std))
            for name, layer in trace.layers.items():
                _add(reports.setdefault(name, LayerReport()), layer, sample, model.temporal_stride)
            if progress is not None:
                progress(index + 1, clips)
    finally:
        model.train(was_training)
    return {name: report.to_dict() for name, report in reports.items()}


def _add(report: LayerReport, layer: LayerTrace, sample: MotionSample, stride: int) -> None:
    rows, columns = layer.offset.shape[-2:]
    grid = FeatureGrid(rows, columns, *sample.frames.shape[1:3])
    statistics = offset_statistics(layer, grid)
    report.clips += 1
    report.magnitude += float(statistics.mean_magnitude.mean())
    report.largest = max(report.largest, float(statistics.max_magnitude.max()))
    report.out_of_frame += float(statistics.out_of_frame.mean())
    report.entropy += float(statistics.attention_entropy.mean())
    taps = regular_taps(layer.kernel_size)[:, :, None, None]
    row, column = np.mgrid[:rows, :columns]
    places = np.moveaxis(np.stack([column, row]) + taps, 1, -1)
    report.regular_out_of_frame += 1 - float(grid.contains(grid.to_pixels(places)).mean())
    shares = attention_shares(layer.weights)
    found = (shares[:, :, None] * (taps + layer.offset)).sum(1)  # [T, 2, h, w]
    regular = (shares[:, :, None] * taps).sum(1)
    for frame in range(len(sample.frames) // stride - 1):
        truth, moving = true_displacement(sample, grid, frame * stride + stride // 2, stride)
        if not moving.any():
            continue
        true = truth[moving].T
        report.cells += int(moving.sum())
        report.still_error += float(np.linalg.norm(true, axis=0).sum())
        for prefix, estimate in (("", found[frame][:, moving]), ("regular_", regular[frame][:, moving])):
            length = np.linalg.norm(estimate, axis=0) * np.linalg.norm(true, axis=0)
            cosine = (estimate * true).sum(0) / np.maximum(length, 1e-9)
            error = np.linalg.norm(estimate - true, axis=0)
            setattr(report, f"{prefix}cosine", getattr(report, f"{prefix}cosine") + float(cosine.sum()))
            setattr(report, f"{prefix}error", getattr(report, f"{prefix}error") + float(error.sum()))


def true_displacement(
    sample: MotionSample, grid: FeatureGrid, first: int, steps: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """How far the picture at each cell's centre moves from input frame `first` over `steps` frames.

    Returns displacements [h,w,2] in cells, and which cells belong to what moves, stay in the frame, and move visibly.
    The sample must have been drawn with its truth.
    """
    assert sample.flow is not None
    assert sample.moving is not None
    row, column = np.mgrid[: grid.rows, : grid.columns]
    start = grid.to_pixels(np.stack([column, row], axis=-1).astype(float))
    place, limit = start.copy(), np.array([grid.width, grid.height]) - 1
    inside = np.ones(place.shape[:2], bool)
    for frame in range(first, min(first + steps, len(sample.flow))):
        nearest = np.clip(np.rint(place), 0, limit).astype(int)
        place = place + sample.flow[frame][nearest[..., 1], nearest[..., 0]]
        inside &= ((place >= 0) & (place <= limit)).all(axis=-1)
    centre = np.rint(start).astype(int)
    displacement = (place - start) / grid.stride
    mask = sample.moving[first][np.minimum(centre[..., 1], limit[1]), np.minimum(centre[..., 0], limit[0])]
    return displacement, mask & inside & (np.linalg.norm(displacement, axis=-1) >= LEAST_MOTION)
