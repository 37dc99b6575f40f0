"""Everything about one query as plain numbers, and as a JSON file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.maps import normalise
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.render.facts import clip_facts, model_facts
from sifa_core.explain.studies.diagnostics import diagnose
from sifa_core.inference import public_predictions
from sifa_core.version import __version__


def json_file(analysis: Analysis, selection: Selection) -> bytes:
    """`describe` as a JSON file."""
    return json.dumps(describe(analysis, selection), indent=1, allow_nan=False).encode()


def describe(analysis: Analysis, selection: Selection) -> dict[str, Any]:
    """Everything about one query as plain values: facts and hashes, predictions, points and statistics by layer.

    Coordinates are pixels of the clip as shown, (x, y); maps are at their own resolution, row by row, 0..1.
    """
    query, layer = selection.query, selection.layer
    clip, info = analysis.clip, analysis.info
    return {
        "generator": f"sifa_core {__version__}",
        "model": model_facts(info),
        "clip": clip_facts(clip) | {"frames": clip.indices.tolist(), "timestamps": clip.timestamps.tolist()},
        "predictions": public_predictions(info, analysis.predictions),
        "feature_frames": analysis.frame_index,
        "query": dict(zip("txy", query, strict=True)) | {"layer": layer, "levels": selection.levels},
        "sampling_points": {"selected": _points(analysis.sampling_points(query, layer, selection.levels))}
        | {name: _points(analysis.sampling_points(query, name)) for name in analysis.layers},
        "motion": _rounded(normalise(analysis.motion_cells(), "clip")),
        "motion_saliency": {
            name: _rounded(normalise(analysis.traces[name].saliency, "clip")) for name in analysis.layers
        },
        "class_evidence": {
            "method": selection.method,
            "layer": selection.stage,
            "target": selection.target,
            "against": selection.against,
            "cells": _rounded(
                analysis.evidence_cells(selection.stage, selection.target, selection.method, selection.against)
            ),
        },
        "grad_cam": {
            "layer": layer,
            "target": selection.target,
            "cells": _rounded(analysis.grad_cam_cells(layer, selection.target)),
        },
        "offset_statistics": {name: analysis.offset_statistics(name).to_dict() for name in analysis.layers},
        "flow_agreement": {name: analysis.flow_agreement(name).to_dict() for name in analysis.layers},
        "warnings": [diagnostic.to_dict() for diagnostic in diagnose(analysis)],
    }


def _points(points: SamplingPoints) -> dict[str, Any]:
    return {
        "frame": points.frame,
        "points": points.points.tolist(),
        "weights": points.weights.tolist(),
        "base": points.base.tolist(),
        "in_frame": points.in_frame.tolist(),
    }


def _rounded(maps: np.ndarray) -> list:
    return np.round(maps.astype(float), 5).tolist()
