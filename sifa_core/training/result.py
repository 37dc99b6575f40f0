"""What an evaluation found: its figures, and one result from the parts of several processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.datasets import Failures
from sifa_core.data.motion15 import LABELS, OPPOSITE, SPEED_BINS


@dataclass(frozen=True)
class Answer:
    """What a network said of one video."""

    name: str
    """The video: a path, or the number of a drawn clip."""
    label: str
    """Its true class."""
    predicted: str
    """The most probable class."""
    probability: float
    """Of that one, the mean over views."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    """[classes, classes], true class by row, predicted class by column."""
    speeds: NDArray[np.int64]
    """[bins, 2], right and all, by SPEED_BINS; all zero where speeds are not known."""
    loss: float
    """Mean cross entropy of the averaged probabilities."""
    protocol: str
    """One line: data, views, size."""
    failures: Failures
    top5_hits: int = 0
    """Videos whose true class is among the five most probable ones."""
    videos: tuple[Answer, ...] = ()
    """What was said of each video."""

    @property
    def count(self) -> int:
        """Videos that were evaluated."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Top-1, 0..1; NaN without videos."""
        return float(np.trace(self.confusion) / self.count) if self.count else math.nan

    @property
    def top5(self) -> float:
        """Top-5, 0..1; NaN without videos. With five classes or fewer it says nothing."""
        return self.top5_hits / self.count if self.count else math.nan

    @property
    def per_class(self) -> dict[str, float]:
        """Recall of every class; NaN for a class without videos."""
        totals = self.confusion.sum(axis=1)
        hits = np.diag(self.confusion)
        return {
            label: float(hit / total) if total else math.nan
            for label, hit, total in zip(self.labels, hits, totals, strict=True)
        }

    @property
    def by_speed(self) -> dict[str, dict[str, float]]:
        """Accuracy and number of clips of each speed bin that occurs."""
        rows = zip(SPEED_BINS, self.speeds.tolist(), strict=True)
        return {name: {"accuracy": right / total, "clips": total} for name, (right, total) in rows if total}

    @property
    def directions(self) -> float:
        """Fraction that is right of the answers that name a clip's class or its opposite: 0.5 for one who guesses.

        NaN without such answers, or for other classes than motion15's.
        """
        if self.labels != LABELS:
            return math.nan
        opposite, classes = np.array(OPPOSITE), np.arange(len(OPPOSITE))
        moves = opposite != classes
        right, wrong = (int(self.confusion[classes, other][moves].sum()) for other in (classes, opposite))
        return right / (right + wrong) if right + wrong else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "protocol": self.protocol,
            "videos": self.count,
            "top1": self.accuracy,
            "top5": self.top5,
            "loss": self.loss,
            "per_class": {key: None if math.isnan(value) else value for key, value in self.per_class.items()},
            "by_speed": self.by_speed,
            "directions": None if math.isnan(self.directions) else self.directions,
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "failures": dict(self.failures.counts),
        }


def merged(parts: Sequence[Evaluation]) -> Evaluation:
    """The whole from the parts of an evaluation in which every video was taken once."""
    failures = Failures()
    for part in parts:
        failures.counts.update(part.failures.counts)
    count = sum(part.count for part in parts)
    return replace(
        parts[0],
        confusion=np.sum([part.confusion for part in parts], axis=0),
        speeds=np.sum([part.speeds for part in parts], axis=0),
        loss=sum(part.loss * part.count for part in parts) / max(1, count),
        failures=failures,
        top5_hits=sum(part.top5_hits for part in parts),
        videos=tuple(answer for part in parts for answer in part.videos),
    )
