"""How alive offsets and attention are, layer by layer and frame by frame: the measures of the Offsets matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sifa_core.explain.analysis import Analysis


@dataclass(frozen=True)
class Measure:
    """One thing that the matrix can show."""

    name: str
    """Of the field in `OffsetStatistics` or `FlowAgreement`."""
    title: str
    about: str
    unit: str = ""
    """"%" for fractions of one."""
    digits: int = 2
    two_sided: bool = False
    """Whether it goes from -1 to 1."""


MEASURES = (
    Measure("mean_magnitude", "Length", "Mean length of an offset: how far sampling points were moved.", "cells"),
    Measure(
        "out_of_frame", "Out of frame", "Fraction of points beyond the picture, where the network reads zeros.", "%", 0
    ),
    Measure("attention_entropy", "Spread", "Entropy of the attention: 100 % all points alike, 0 % all on one.", "%", 0),
    Measure(
        "cosine",
        "Along the motion",
        "Cosine between where moving cells look and where the picture goes (DIS optical flow): 1 along, −1 against it.",
        two_sided=True,
    ),
    Measure(
        "error",
        "Off the motion",
        "Distance between where moving cells look and where the picture there goes (DIS optical flow).",
        "cells",
    ),
)


def measure_layers(analysis: Analysis, measure: Measure) -> dict[str, Any]:
    """One measure of every layer and frame as plain values, with the ends of its colour scale; None for no number."""
    rows = []
    for layer in analysis.layers:
        source: Any = analysis.offset_statistics(layer)
        if not hasattr(source, measure.name):
            source = analysis.flow_agreement(layer)
        values = np.asarray(getattr(source, measure.name), float)
        rows.append([float(value) if np.isfinite(value) else None for value in values])
    largest = max((value for row in rows for value in row if value is not None), default=0.0)
    high = 1.0 if measure.two_sided or measure.unit == "%" else max(largest, 0.01)
    return {
        "id": measure.name,
        "title": measure.title,
        "about": measure.about,
        "unit": measure.unit,
        "digits": measure.digits,
        "low": -high if measure.two_sided else 0.0,
        "high": high,
        "zero": measure.two_sided,
        "values": rows,
    }


def moves_points(analysis: Analysis) -> bool:
    """Whether some layer has moved its points; a network that was built on the regular grid never does."""
    return any(trace.offset.any() for trace in analysis.traces.values())
