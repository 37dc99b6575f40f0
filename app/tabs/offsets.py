"""What the Offsets tab says: are offsets and attention alive? Findings in words, and a matrix of layers and frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.charts import frames_of
from sifa_core import Analysis
from sifa_core.explain.studies.diagnostics import FAULT, Diagnostic, diagnose
from sifa_core.explain.studies.offset_matrix import MEASURES, measure_layers, moves_points

HARMLESS = ("astray", "nothing_moves")
"""Kinds of diagnostics beside which offsets and attention may still be called alive."""
ALIVE = "Offsets are alive, and not many more points lie beyond the picture than those of the regular grid."


def matrix_of(analysis: Analysis) -> dict[str, Any]:
    """The matrix for the page, see web/src/tabs/offsets_matrix.js."""
    attended = max(len(trace.offset) for trace in analysis.traces.values())
    return {
        "layers": [{"name": name, "cells": cells_of(analysis, name)} for name in analysis.layers],
        "frames": [frames_of(analysis, t) for t in range(attended)],
        "measures": [measure_layers(analysis, measure) for measure in MEASURES],
    }


def cells_of(analysis: Analysis, layer: str) -> str:
    """Columns and rows of the layer's map."""
    grid = analysis.grid(layer)
    return f"{grid.columns} × {grid.rows}"


def findings_of(analysis: Analysis) -> list[dict[str, str]]:
    """What is to be said of the offsets and attention of a clip."""
    return findings(diagnose(analysis), moves_points(analysis))


def findings(found: Iterable[Diagnostic], with_offsets: bool) -> list[dict[str, str]]:
    """Diagnostics as {kind: fine, fault or note, sentence, advice}, in their order; a calm sentence first if there is
    no fault, on offsets where there are any."""
    found = list(found)
    told = []
    if all(each.kind in HARMLESS for each in found):
        calm = "No fault found on this clip."
        told.append({"kind": "fine", "sentence": f"{calm} {ALIVE}" if with_offsets else calm, "advice": ""})
    for each in found:
        kind = "fault" if each.severity == FAULT else "note"
        told.append({"kind": kind, "sentence": each.sentence, "advice": each.advice})
    return told
