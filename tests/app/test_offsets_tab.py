"""The Offsets tab's numbers are the analysis' numbers, and its words are text whatever labels say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from app.service import Service
from app.tabs import offsets
from app.tabs.offset_charts import direction_rose, length_histogram
from app.tabs.offset_controls import control_cards, summary_of
from app.tabs.offsets import findings, has_offsets, offsets_view, place_of
from app.visit import Visit
from sifa_core import Analysis, Clip, analyze, create_model
from sifa_core.errors import QueryError
from sifa_core.explain.studies.controls import run_controls
from sifa_core.explain.studies.diagnostics import FAULT, NOTE, Diagnostic

NASTY = '<img src=x onerror="alert(1)">${7*7}'


@pytest.fixture(scope="module")
def matrix(analysis: Analysis) -> dict[str, Any]:
    value: dict[str, Any] = offsets_view(analysis)["matrix"]
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
    shares, edges = analysis.offset_histogram("res4.1", 2)
    bars = length_histogram(analysis, "res4.1", 2).data[0]
    np.testing.assert_allclose(bars.y, 100 * shares)
    np.testing.assert_allclose(bars.x, (edges[1:] + edges[:-1]) / 2)
    rose = direction_rose(analysis, "res4.1", 2).data[0]
    np.testing.assert_allclose(rose.r, 100 * analysis.offset_statistics("res4.1").direction[2])
    for chart in (length_histogram, direction_rose):
        assert "res4.1, 2 → 3" in chart(analysis, "res4.1", 2).layout.title.text
        assert "res3.0, 3 → itself" in chart(analysis, "res3.0", 3).layout.title.text
    for layer, t in (("res9.9", 0), ("res4.1", 99)):
        with pytest.raises(QueryError):
            length_histogram(analysis, layer, t)
        with pytest.raises(QueryError):
            direction_rose(analysis, layer, t)


def test_the_viewers_place_is_taken_if_it_exists(analysis: Analysis) -> None:
    own = analysis.select()
    assert place_of(analysis, {"layer": "res4.0", "t": 2}) == ("res4.0", 2)
    for wrong in (None, "res4.0", {"layer": "x", "t": 0}, {"layer": "res4.0", "t": 77}, {"layer": ["a"], "t": {}}):
        assert place_of(analysis, wrong) == (own.layer, own.query[0])


def test_cards_say_what_became_of_the_prediction(analysis: Analysis) -> None:
    control = next(run_controls(analysis))
    cards = [summary_of(analysis), summary_of(analysis, control)]
    html = control_cards(cards, is_trained=True)
    assert html.count('<section class="card">') == 2
    assert html.count('<img src="data:image/jpeg') == 2 * analysis.num_frames
    assert f"{100 * analysis.predictions[0][1]:.0f} %" in html
    assert f"{abs(round(100 * control.change))} points" in html
    assert control.verdict in html
    hidden = control_cards(cards, is_trained=False)
    assert " points" not in hidden
    assert analysis.predictions[0][0] not in hidden
    assert "untrained" in hidden


def test_labels_and_sentences_are_text(analysis: Analysis) -> None:
    card = summary_of(analysis) | {"predictions": [(NASTY, 0.5)], "label": NASTY, "change": 0.1}
    assert "<img src=x" not in control_cards([card], is_trained=True)
    finding = Diagnostic("dead_offsets", FAULT, (NASTY,), NASTY, NASTY)
    assert "<img" not in findings([finding], True)


def test_findings_say_so_if_there_is_no_fault() -> None:
    fault = Diagnostic("dead_offsets", FAULT, ("res3.0",), "They are dead.", "Train them.")
    assert "No fault" in findings([], True)
    assert "No fault" in findings([replace(fault, severity=NOTE, kind="astray")], True)
    assert "No fault" not in findings([replace(fault, severity=NOTE)], True), "untrained offsets are not alive either"
    told = findings([fault], True)
    assert "No fault" not in told
    assert 'class="fault"' in told
    assert "They are dead." in told


def test_offsets_are_called_alive_where_there_are_any(analysis: Analysis, make_clip: Callable[..., Clip]) -> None:
    regular = analyze(create_model("sifa_net_tiny", temporal="sifa_r"), make_clip())
    assert has_offsets(analysis)
    assert not has_offsets(regular)
    assert "Offsets are alive" in findings([], True)
    assert "ffsets" not in findings([], False)


def test_every_event_of_the_tab_waits_for_its_turn_and_is_forgotten(service: Service) -> None:
    with gr.Blocks() as page, gr.Tabs() as tabs, gr.Tab("Offsets") as space:
        offsets.build(Visit(service, gr.State(""), gr.JSON(), gr.HTML(), tabs), space)
    events = [each for each in page.fns.values() if each.name in ("opened", "another_clip", "choose")]
    assert [each.trigger_mode for each in events] == ["always_last"] * 3
    for event in events:
        (after,) = [each for each in page.fns.values() if each.trigger_after == event._id]
        assert {each.elem_id for each in after.inputs} >= {
            "offset-matrix",
            "offset-lengths",
            "offset-directions",
            "offset-controls",
        }
        assert after.outputs == []


def test_what_is_worked_out_is_kept_and_counted(service: Service) -> None:
    token = service.open_example("earth_rotates")
    before, made = service.cache.nbytes, []

    def make(analysis: Analysis) -> np.ndarray:
        made.append(analysis)
        return np.zeros(1000, np.uint8)

    assert service.worked_out(token, "zeros", make) is service.worked_out(token, "zeros", make)
    assert made == [service.analysis(token)]
    assert service.cache.nbytes == before + 1000
