"""Writing an analysis to a file, by the file's ending."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import sifa_core
from sifa_core.errors import ExportError
from sifa_core.explain.analysis import Analysis, Target
from sifa_core.explain.maps import normalise
from sifa_core.explain.points import Query, SamplingPoints

FIGURES = ("png", "svg", "pdf")
TEXTS = ("html", "json")


def save(
    analysis: Analysis, path: Path, query: Query | None, layer: str | None, levels: int | None, target: Target
) -> Path:
    """See `Analysis.save`. The file appears whole or not at all."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FIGURES + TEXTS:
        endings = ", ".join("." + ending for ending in FIGURES + TEXTS)
        raise ExportError(f"{path.name} cannot be written: the ending must be one of {endings}.")
    layer = analysis.check_layer(layer)
    query = analysis.default_query(layer) if query is None else analysis.check_query(query)
    return _write(path, _render(analysis, kind, query, layer, levels, target))


def _render(analysis: Analysis, kind: str, query: Query, layer: str, levels: int | None, target: Target) -> bytes:
    if kind == "html":
        from sifa_core.explain.html import render_html

        return render_html(analysis, query=query, layer=layer, levels=levels, target=target).encode()
    if kind == "json":
        return json.dumps(describe(analysis, query, layer, levels, target), indent=1, allow_nan=False).encode()
    from sifa_core.explain.figure5 import compose, write

    facts = {"Title": f"SIFA sampling points, {analysis.info.name} {layer}", "Description": _provenance(analysis)}
    return write(compose(analysis, query, layer, levels, target), kind, facts)


def describe(
    analysis: Analysis, query: Query, layer: str, levels: int | None = None, target: Target = None
) -> dict[str, Any]:
    """Everything about one query as plain values: facts and hashes, predictions, points and statistics by layer.

    Coordinates are pixels of the clip as shown, (x, y); maps are at their own resolution, row by row, 0..1.
    """
    levels = analysis.max_levels(layer) if levels is None else levels
    t, x, y = query
    source, info = analysis.clip.source, analysis.info
    return {
        "generator": f"sifa_core {sifa_core.__version__}",
        "model": {"name": info.name, "status": info.status, "source": info.source, "sha256": info.sha256},
        "clip": {
            "name": source.name,
            "sha256": source.sha256,
            "width": analysis.clip.width,
            "height": analysis.clip.height,
            "fps": source.fps,
            "frames": analysis.clip.indices.tolist(),
            "timestamps": analysis.clip.timestamps.tolist(),
        },
        "predictions": _predictions(analysis),
        "feature_frames": analysis.frame_index,
        "query": {"t": t, "x": x, "y": y, "layer": layer, "levels": levels},
        "sampling_points": {"selected": _points(analysis.sampling_points(query, layer, levels))}
        | {name: _points(analysis.sampling_points(query, name)) for name in analysis.layers},
        "motion_saliency": {
            name: _rounded(normalise(analysis.traces[name].saliency, "clip")) for name in analysis.layers
        },
        "grad_cam": {
            "layer": layer,
            "target": analysis.target_index(target),
            "cells": _rounded(analysis.grad_cam_cells(layer, target)),
        },
        "offset_statistics": {name: analysis.offset_statistics(name).to_dict() for name in analysis.layers},
    }


def _predictions(analysis: Analysis) -> list[dict[str, Any]] | None:
    """None for an untrained model: its probabilities mean nothing and are not handed out."""
    if not analysis.info.is_trained:
        return None
    return [{"label": label, "probability": probability} for label, probability in analysis.predictions]


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


def _provenance(analysis: Analysis) -> str:
    weights = analysis.info.sha256 or "untrained"
    return f"model sha256 {weights}; clip sha256 {analysis.clip.sha256}"


def _write(path: Path, content: bytes) -> Path:
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(draft).chmod(0o644)
            os.replace(draft, path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{path.name} cannot be written: {error.strerror}.") from error
    return path
