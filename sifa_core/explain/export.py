"""Writing an analysis to a file, by the file's ending."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import sifa_core
from sifa_core.errors import ExportError
from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.maps import normalise
from sifa_core.explain.points import SamplingPoints

FIGURES = ("png", "svg", "pdf")
FILMS = ("gif", "mp4")
TEXTS = ("html", "json")


def save(analysis: Analysis, path: Path, selection: Selection) -> Path:
    """See `Analysis.save`. The file appears whole or not at all, and never in place of the clip."""
    kind = file_kind(path)
    if path.is_file() and _sha256(path) == analysis.clip.sha256:
        raise own_clip(path)
    return _write(path, _render(analysis, kind, selection))


def own_clip(path: Path) -> ExportError:
    """What to raise where the analysis would replace the video that it explains."""
    return ExportError(f"{path.name} is the clip itself; choose another name.")


def file_kind(path: Path) -> str:
    """The file's ending, without the dot. Raises ExportError for one that cannot be written."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FIGURES + FILMS + TEXTS:
        endings = ", ".join("." + ending for ending in FIGURES + FILMS + TEXTS)
        raise ExportError(f"{path.name} cannot be written: the ending must be one of {endings}.")
    return kind


def _render(analysis: Analysis, kind: str, selection: Selection) -> bytes:
    if kind == "html":
        from sifa_core.explain.html import render_html

        return render_html(analysis, **asdict(selection)).encode()
    if kind == "json":
        return json.dumps(describe(analysis, selection), indent=1, allow_nan=False).encode()
    facts = {"Title": f"SIFA sampling points, {analysis.info.name}", "Description": _provenance(analysis)}
    if kind in FILMS:
        from sifa_core.explain.follow import write_gif, write_mp4

        if kind == "gif":
            return write_gif(analysis, selection, "; ".join(facts.values()))
        return write_mp4(analysis, selection, {"title": facts["Title"], "comment": facts["Description"]})
    from sifa_core.explain.figure5 import compose, write

    return write(compose(analysis, selection), kind, facts)


def describe(analysis: Analysis, selection: Selection) -> dict[str, Any]:
    """Everything about one query as plain values: facts and hashes, predictions, points and statistics by layer.

    Coordinates are pixels of the clip as shown, (x, y); maps are at their own resolution, row by row, 0..1.
    """
    query, layer = selection.query, selection.layer
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
        "query": dict(zip("txy", query, strict=True)) | {"layer": layer, "levels": selection.levels},
        "sampling_points": {"selected": _points(analysis.sampling_points(query, layer, selection.levels))}
        | {name: _points(analysis.sampling_points(query, name)) for name in analysis.layers},
        "motion_saliency": {
            name: _rounded(normalise(analysis.traces[name].saliency, "clip")) for name in analysis.layers
        },
        "grad_cam": {
            "layer": layer,
            "target": selection.target,
            "cells": _rounded(analysis.grad_cam_cells(layer, selection.target)),
        },
        "offset_statistics": {name: analysis.offset_statistics(name).to_dict() for name in analysis.layers},
        "flow_agreement": {name: analysis.flow_agreement(name).to_dict() for name in analysis.layers},
        "warnings": [finding.to_dict() for finding in analysis.warnings()],
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
    info = analysis.info
    return f"model {info.name} ({info.status}) sha256 {info.sha256}; clip sha256 {analysis.clip.sha256}"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ExportError(f"{path.name} cannot be written: {error.strerror}.") from error


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
