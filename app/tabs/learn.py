"""What the Learn tab shows: the paper's equations one at a time, with the real numbers of the query asked about.

A query's numbers are computed once; stepping through the equations then happens in the browser. Switching a part of the
model off runs the model again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sifa_core import Analysis
from sifa_core.explain.analysis import Selection
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.render.payload import PICTURE_QUALITY, PICTURE_SIDE, encode_jpeg
from sifa_core.explain.studies.ablation import PARTS, ablate, compare, has_part
from sifa_core.explain.studies.equations import Attention, EquationSteps
from sifa_core.explain.trace import OFFSET_SOURCES

CHANNELS = 8
"""Channels of a feature that are written out; there may be hundreds."""
DIGITS = 6
"""Significant digits that a number keeps on its way to the browser."""


def ablation_of(analysis: Analysis, selection: Selection, part: str, here: bool) -> dict[str, Any]:
    """What changes at the query without the part, in its layer alone if it is only to be off there. Runs the model."""
    ablation = ablate(analysis, part, [selection.layer] if here else None)
    comparison = compare(analysis, ablation, selection)
    return {
        "moved": comparison.moved,
        "before": _points(comparison.before),
        "after": _points(comparison.after),
        "probabilities": [list(row) for row in comparison.probabilities],
    }


def lesson_of(analysis: Analysis, selection: Selection, steps: EquationSteps) -> dict[str, Any]:
    """All numbers of a query, as plain values; for each equation those channels that show it best."""
    t = selection.query[0]
    following = min(t + 1, analysis.num_frames - 1)
    grid = analysis.grid(selection.layer)
    return {
        "choice": dict(zip("txy", selection.query, strict=True))
        | {"layer": selection.layer, "levels": selection.levels},
        "clip": {"width": analysis.clip.width, "height": analysis.clip.height},
        "frames": [t, following],
        "pictures": [encode_jpeg(analysis.frame(each), PICTURE_SIDE, PICTURE_QUALITY) for each in (t, following)],
        "grid": [grid.columns, grid.rows],
        "cell": list(steps.cell),
        "channels": len(steps.query),
        "gated": steps.is_gated,
        "regular": _attention(steps.regular),
        "deformed": _attention(steps.deformed),
        "offset": _plain(steps.offset),
        "corners": steps.corners.tolist(),
        "cornerWeights": _plain(steps.corner_weights),
        "maps": {"difference": _plain(steps.difference_map), "saliency": _plain(steps.saliency_map)},
        "features": _features_of(steps),
        **_model_facts(analysis, selection.layer),
    }


def _model_facts(analysis: Analysis, layer: str) -> dict[str, Any]:
    model, info = analysis.model, analysis.info
    attention = model.sifa_layers()[layer].attention
    return {
        "model": info.name,
        "trained": info.is_trained,
        "side": attention.kernel_size,
        "scale": attention.scale,
        "temporal": getattr(model.config, "temporal", "sifa"),
        "gate": model.config.gate,
        "offsetSource": OFFSET_SOURCES[analysis.traces[layer].offset_source],
        "parts": [part for part in PARTS if has_part(model, part)],
        "partWords": PARTS,
    }


def _features_of(steps: EquationSteps) -> dict[str, Any]:
    """The features that each step shows, in the channels that show it best."""
    channels, regular, deformed = steps.telling_channels(CHANNELS), steps.regular, steps.deformed
    query, following, difference = steps.query, steps.following, steps.difference
    key, moved_key = regular.keys[regular.strongest()], deformed.keys[deformed.strongest()]
    return {
        "compare": _features(channels[1], query=query, key=key),
        "gather": _features(channels[2], aggregate=regular.aggregate) | {"keys": _plain(regular.keys[:, channels[2]])},
        "add": _features(channels[2], query=query, aggregate=regular.aggregate, output=steps.regular_output),
        "change": _features(channels[4], following=following, query=query, difference=difference),
        "saliency": _features(
            channels[4], difference=difference, gate=steps.gate, following=following, saliency=steps.saliency
        ),
        "blend": _features(channels[6], key=moved_key) | {"corners": _plain(steps.corner_features[:, channels[6]])},
        "output": _features(
            channels[7], query=query, aggregate=deformed.aggregate, gated=steps.gated, output=steps.output
        ),
    }


def _attention(attention: Attention) -> dict[str, Any]:
    return {
        "points": _plain(attention.points),
        "products": _plain(attention.products),
        "weights": _plain(attention.weights),
    }


def _features(channels: Iterable[int], **values: np.ndarray) -> dict[str, Any]:
    numbers = list(map(int, channels))
    return {"numbers": numbers} | {name: _plain(each[numbers]) for name, each in values.items()}


def _points(points: SamplingPoints) -> dict[str, Any]:
    return {"points": _plain(points.points), "weights": _plain(points.weights)}


def _plain(values: np.ndarray) -> Any:
    """Nested lists of a few significant digits; JSON has no NaN and no infinity."""
    finite = np.nan_to_num(np.asarray(values, float), nan=0.0, posinf=1e30, neginf=-1e30)
    return [_plain(each) for each in finite] if finite.ndim > 1 else [float(f"{each:.{DIGITS}g}") for each in finite]
