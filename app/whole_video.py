"""The whole video of a clip: how it moves, what the model makes of it moment by moment, and another moment of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import charts
from app.service import Service
from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.timeline import Timeline


def timeline_figure(service: Service, analysis: Analysis, found: Timeline) -> Any:
    """The chart, with the window of the analysis; without classes where the model is untrained."""
    times = analysis.clip.timestamps
    classes = found.best(charts.TIMELINE_CLASSES) if service.model.info.is_trained else []
    return charts.timeline_chart(found, classes, (float(times[0]), float(times[-1])))


def chosen_window(timestamps: NDArray[np.float64], second: Any, stride: Any) -> tuple[int, int]:
    """The first frame and the stride that the fields say, of a video whose frames [N] are shown at `timestamps`.

    Raises QueryError for what no window has."""
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (second, stride)):
        raise QueryError("A window needs a second at which it starts, and how many frames lie from one to the next.")
    if not 0 <= second <= timestamps[-1]:
        raise QueryError(f"The video runs from 0 to {timestamps[-1]:.2f} s; there is nothing at {second:g} s.")
    if stride < 1:
        raise QueryError("A window takes one frame in 1 or more.")
    nearest = int(np.abs(timestamps - second).argmin())
    return min(nearest, len(timestamps) - 2), int(stride)
