"""The controls as cards beside the original: a filmstrip, what the model makes of it, and what that says."""

from __future__ import annotations

from typing import Any

from sifa_core import Analysis
from sifa_core.explain.render.payload import encode_jpeg
from sifa_core.explain.studies.controls import Control, run_controls
from sifa_core.inference import public_predictions

SHOWN = 3
"""Predictions of a card."""
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 72, 75
ORIGINAL = "As it was filmed."


def cards_of(analysis: Analysis) -> list[dict[str, Any]]:
    """What the cards show of the original and of each control: little enough for the cache. Runs the controls."""
    return [_summary(analysis, None), *(_summary(analysis, control) for control in run_controls(analysis))]


def _summary(analysis: Analysis, control: Control | None) -> dict[str, Any]:
    shown = analysis if control is None else control.analysis
    layer = analysis.clear_layer
    return {
        "title": "Original" if control is None else control.name.capitalize(),
        "about": ORIGINAL if control is None else control.meaning,
        "pictures": [encode_jpeg(shown.frame(t), THUMBNAIL_SIDE, THUMBNAIL_QUALITY) for t in range(shown.num_frames)],
        "predictions": public_predictions(shown.info, shown.predictions, SHOWN),
        "label": analysis.predictions[0][0],
        "change": None if control is None else control.change,
        "verdict": "" if control is None else control.verdict,
        "layer": layer,
        "length": float(shown.offset_statistics(layer).mean_magnitude.mean()),
    }
