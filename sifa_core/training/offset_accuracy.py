"""Do the offsets make sense? Statistics of every SIFA layer on motion15, against the true flow.

Legend: T feature frames, K taps, H x W cells of a layer's map. Displacements are (x, y) in cells of that map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sifa_core.data.motion15 import MotionConfig, MotionSample, render
from sifa_core.data.transforms import normalize
from sifa_core.explain.geometry import FeatureGrid, FloatArray
from sifa_core.explain.optical_flow import agreement, centres, flow_displacement, moves
from sifa_core.explain.statistics import offset_statistics, regular_out_of_frame
from sifa_core.explain.trace import LayerTrace, Trace
from sifa_core.models.base import VideoModel


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
        """Mean and largest offset (cells), fraction of points out of frame, attention entropy (0..1), and over moving
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
                model(normalize(torch.from_numpy(sample.frames[None]), model.info.mean, model.info.std))
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
    report.regular_out_of_frame += regular_out_of_frame(grid, layer.kernel_size)
    pairs = range(len(sample.frames) // stride - 1)
    compared = agreement(layer, [true_displacement(sample, grid, t * stride + stride // 2, stride) for t in pairs])
    cells = int(compared.moving_cells.sum())
    if cells:
        report.cells += cells
        for name in ("cosine", "error", "regular_cosine", "regular_error", "still_error"):
            setattr(report, name, getattr(report, name) + cells * compared.mean(name))


def true_displacement(
    sample: MotionSample, grid: FeatureGrid, first: int, steps: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """How far the picture at each cell's centre moves from input frame `first` over `steps` frames.

    Returns displacements [H, W, 2] in cells, and which cells belong to what moves, stay in the frame, and move visibly.
    The sample must have been drawn with its truth.
    """
    assert sample.flow is not None
    assert sample.moving is not None
    displacement, inside = flow_displacement(sample.flow[first : first + steps], grid)
    limit = np.array([grid.width, grid.height]) - 1
    centre = np.clip(np.rint(centres(grid)), 0, limit).astype(int)
    mask = sample.moving[first][centre[..., 1], centre[..., 0]]
    return displacement, mask & inside & moves(displacement)
