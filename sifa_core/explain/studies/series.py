"""Motion saliency over the frames of a clip, at one place and over the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.geometry import FloatArray, read_bilinear


@dataclass(frozen=True)
class MotionSeries:
    """Channel mean of |f_m| (Eq. 5) in every attended frame, [T], not scaled, so that frames can be compared."""

    at_place: FloatArray
    """At the query's place, read bilinearly between cells."""
    mean: FloatArray
    """Mean of the map."""
    largest: FloatArray
    """Largest cell of the map."""


def motion_series(analysis: Analysis, selection: Selection) -> MotionSeries:
    """Motion saliency of the selection's layer over time, at the selection's place."""
    maps = analysis.traces[selection.layer].saliency.astype(float)
    cells = analysis.grid(selection.layer).to_cells(np.array([selection.query[1:]]))
    return MotionSeries(read_bilinear(maps, cells)[:, 0], maps.mean((1, 2)), maps.max((1, 2)))
