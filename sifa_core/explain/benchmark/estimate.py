"""A mean with its 95 % interval, by drawing the clips again (bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
"""Times that the clips are drawn again."""
DIGITS = 4
"""Of numbers in JSON."""


@dataclass(frozen=True)
class Estimate:
    """The mean of a figure over clips; NaN without any."""

    mean: float
    low: float
    """Lower and
    upper end of the 95 % interval."""
    high: float
    clips: int
    """Clips that have the figure."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None for NaN."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        return {key: plain(value) for key, value in values.items()} | {"clips": self.clips}


def estimate(values: Sequence[float], weights: Sequence[float] | None = None, seed: int = 0) -> Estimate:
    """The mean of `values`, one a clip, NaN for a clip that has none; with `weights`, each clip counts by its own.

    The interval is that of the middle 95 % of means over as many clips, drawn with replacement.
    """
    figures = np.asarray(values, float)
    weight = np.ones(len(figures)) if weights is None else np.asarray(weights, float)
    known = ~np.isnan(figures) & (weight > 0)
    figures, weight = figures[known], weight[known]
    if not len(figures):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(seed).integers(0, len(figures), (RESAMPLES, len(figures)))
    means = (figures * weight)[drawn].sum(1) / weight[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float((figures * weight).sum() / weight.sum()), float(low), float(high), len(figures))


def average(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN without any."""
    figures = np.asarray(values, float)
    known = figures[~np.isnan(figures)]
    return float(known.mean()) if len(known) else float("nan")


def plain(value: float) -> float | None:
    """A number for JSON: rounded, None for NaN."""
    return None if np.isnan(value) else round(float(value), DIGITS)
