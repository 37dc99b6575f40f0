"""The trail of a query: from frame to frame it is carried to where attention looked.

In every pair of frames the query goes on by the mean displacement of its points weighted by the size of their
attention. It is no tracker: the network was never told to follow anything.

Coordinates are pixels of the clip as shown, (x, y).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.points import SamplingPoints


@dataclass(frozen=True)
class TrailStep:
    """One pair of frames of a trail."""

    points: SamplingPoints
    displacement: tuple[float, float]
    """(dx, dy), pixels: mean of point minus query, each point counting by the size of its weight."""


def trail(analysis: Analysis, selection: Selection) -> list[TrailStep]:
    """The trail of a query from its own frame to the last one that attends to anything, one step for each frame."""
    t, x, y = selection.query
    width, height = analysis.clip.width, analysis.clip.height
    steps = []
    for now in range(t, len(analysis.traces[selection.layer].offset)):
        points = analysis.sampling_points((now, x, y), selection.layer, selection.levels)
        weights = np.abs(points.weights)
        weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
        dx, dy = (float(value) for value in weights @ (points.points - (x, y)))
        steps.append(TrailStep(points, (dx, dy)))
        x, y = min(max(x + dx, 0.0), width - 1.0), min(max(y + dy, 0.0), height - 1.0)
    return steps
