"""The Offsets tab's numbers are the analysis' numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.charts import direction_rose, length_histogram
from app.service import Service
from app.tabs.offset_controls import cards_of
from app.tabs.offsets import findings, matrix_of
from sifa_core import Analysis, Clip, analyze, create_model
from sifa_core.errors import QueryError
from sifa_core.explain.studies.controls import run_controls
from sifa_core.explain.studies.diagnostics import FAULT, NOTE, Diagnostic
from sifa_core.explain.studies.offset_matrix import moves_points


def told(found: list[Diagnostic], with_offsets: bool) -> str:
    return " ".join(each["sentence"] for each in findings(found, with_offsets))


@pytest.fixture(scope="module")
def matrix(analysis: Analysis) -> dict[str, Any]:
    value: dict[str, Any] = matrix_of(analysis)
    return value


def test_the_matrix_holds_every_layer_and_frame(analysis: Analysis, matrix: dict[str, Any]) -> None:
    assert [layer["name"] for layer in matrix["layers"]] == analysis.layers
    assert matrix["frames"] == ["0 → 1", "1 → 2", "2 → 3", "3 → itself"]
    assert [measure["id"] for measure in matrix["measures"]] == [
        "mean_magnitude",
        "out_of_frame",
        "attention_entropy",
        "cosine",
        "error",
    ]
    json.dumps(matrix, allow_nan=False)


@pytest.mark.parametrize("name", ["mean_magnitude", "out_of_frame", "attention_entropy"])
def test_statistics_are_those_of_the_analysis(analysis: Analysis, matrix: dict[str, Any], name: str) -> None:
    measure = next(measure for measure in matrix["measures"] if measure["id"] == name)
    for layer, values in zip(analysis.layers, measure["values"], strict=True):
        assert values == getattr(analysis.offset_statistics(layer), name).tolist()
        assert measure["low"] <= min(values)
        assert max(values) <= measure["high"]


@pytest.mark.parametrize("name", ["cosine", "error"])
def test_agreement_is_that_of_the_analysis(analysis: Analysis, matrix: dict[str, Any], name: str) -> None:
    measure = next(measure for measure in matrix["measures"] if measure["id"] == name)
    for layer, values in zip(analysis.layers, measure["values"], strict=True):
        assert values == analysis.flow_agreement(layer).to_dict()[name]
        assert values[-1] is None, "the last frame has no motion after it"


def test_charts_are_of_the_layer_and_frame(analysis: Analysis) -> None:
    fractions, edges = analysis.offset_histogram("res4.1", 2)
    bars = length_histogram(analysis, "res4.1", 2).data[0]
    np.testing.assert_allclose(bars.y, fractions)
    np.testing.assert_allclose(bars.x, (edges[1:] + edges[:-1]) / 2)
    rose = direction_rose(analysis, "res4.1", 2).data[0]
    np.testing.assert_allclose(rose.r, analysis.offset_statistics("res4.1").direction[2])
    for chart in (length_histogram, direction_rose):
        assert "res4.1, 2 → 3" in chart(analysis, "res4.1", 2).layout.title.text
        assert "res3.0, 3 → itself" in chart(analysis, "res3.0", 3).layout.title.text
    for layer, t in (("res9.9", 0), ("res4.1", 99)):
        with pytest.raises(QueryError):
            length_histogram(analysis, layer, t)
        with pytest.raises(QueryError):
            direction_rose(analysis, layer, t)


def test_cards_say_what_became_of_the_prediction(analysis: Analysis) -> None:
    control = next(run_controls(analysis))
    original, first = cards_of(analysis)[:2]
    assert (original["change"], original["verdict"]) == (None, "")
    assert len(original["pictures"]) == analysis.num_frames
    label, probability = analysis.predictions[0]
    assert original["predictions"][0] == {"label": label, "probability": probability} | original["predictions"][0]
    assert (first["change"], first["verdict"], first["label"]) == (control.change, control.verdict, label)


def test_the_diagnostics_say_so_if_there_is_no_fault() -> None:
    fault = Diagnostic("dead_offsets", FAULT, ("res3.0",), "They are dead.", "Train them.")
    assert "No fault" in told([], True)
    assert "No fault" in told([replace(fault, severity=NOTE, kind="astray")], True)
    assert "No fault" not in told([replace(fault, severity=NOTE)], True), "untrained offsets are not alive either"
    assert findings([fault], True) == [{"kind": "fault", "sentence": "They are dead.", "advice": "Train them."}]


def test_offsets_are_called_alive_where_there_are_any(analysis: Analysis, make_clip: Callable[..., Clip]) -> None:
    regular = analyze(create_model("sifa_net_tiny", temporal="sifa_r"), make_clip())
    assert moves_points(analysis)
    assert not moves_points(regular)
    assert "Offsets are alive" in told([], True)
    assert "ffsets" not in told([], False)


def test_what_is_computed_is_stored_and_counted(service: Service) -> None:
    token = service.open_example("earth_rotates")
    before, made = service.cache.nbytes, []

    def make(analysis: Analysis) -> np.ndarray:
        made.append(analysis)
        return np.zeros(1000, np.uint8)

    assert service.get_or_compute(token, "zeros", make) is service.get_or_compute(token, "zeros", make)
    assert made == [service.analysis(token)]
    assert service.cache.nbytes == before + 1000
