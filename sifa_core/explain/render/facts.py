"""What every file says of the clip and the model that it was made from, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from sifa_core.data import Clip
from sifa_core.explain.analysis import Analysis
from sifa_core.models import ModelInfo


def provenance(analysis: Analysis) -> dict[str, str]:
    """Title and Description for the metadata of pictures and films: which model, which clip, and their hashes."""
    info = analysis.info
    return {
        "Title": f"SIFA sampling points, {info.name}",
        "Description": f"model {info.name} ({info.status}) sha256 {info.sha256}; clip sha256 {analysis.clip.sha256}",
    }


def model_facts(info: ModelInfo) -> dict[str, Any]:
    """Name, status ("demo", "own" or "untrained"), source and hash of the weights."""
    return {"name": info.name, "status": info.status, "source": info.source, "sha256": info.sha256}


def clip_facts(clip: Clip) -> dict[str, Any]:
    """Name and hash of the video's file; width and height of the clip as shown, pixels; frames per second."""
    return {
        "name": clip.source.name,
        "sha256": clip.sha256,
        "width": clip.width,
        "height": clip.height,
        "fps": finite(clip.source.fps),
    }


def finite(value: Any) -> float:
    """The number, for JSON, which has no NaN (it becomes 0) and no infinity (the largest float)."""
    return float(np.nan_to_num(float(value)))
