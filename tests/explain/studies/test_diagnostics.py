"""Faults planted in a healthy model, each of which must be found, named and put on the right layers."""

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch

from sifa_core.data import Clip
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.studies.diagnostics import DEAD_OFFSET, Diagnostic, diagnose
from sifa_core.explain.trace import LayerTrace
from sifa_core.layers import SIFA
from sifa_core.models import VideoModel, load_model
from sifa_core.models.checkpoint import untrained_model

Plant = Callable[..., dict[str, Diagnostic]]


@pytest.fixture(scope="module")
def healthy() -> VideoModel:
    return load_model("sifa_net_tiny")


@pytest.fixture(scope="module")
def analysis(healthy: VideoModel, clip: Clip) -> Explanation:
    return analyze(healthy, clip)


@pytest.fixture
def plant(healthy: VideoModel, clip: Clip) -> Plant:
    """plant(change) applies `change` to the last layer of a copy, analyses and returns the diagnostics by kind."""

    def diagnose_with(change: Callable[[SIFA], None]) -> dict[str, Diagnostic]:
        sick = copy.deepcopy(healthy)
        change(list(sick.sifa_layers().values())[-1])
        return kinds(analyze(sick, clip))

    return diagnose_with


def with_trace(analysis: Explanation, **changes: torch.Tensor) -> Explanation:
    """The analysis with another trace of its last layer."""
    last = analysis.layers[-1]
    trace = dataclasses.replace(analysis.traces[last], **changes)
    traces: dict[str, LayerTrace] = {**analysis.traces, last: trace}
    return Explanation(analysis.model, analysis.clip, analysis.video, analysis.logits, traces)


def kinds(analysis: Explanation) -> dict[str, Diagnostic]:
    return {diagnostic.kind: diagnostic for diagnostic in diagnose(analysis)}


def test_the_shipped_model_has_no_fault(analysis: Explanation):
    assert analysis.info.is_trained
    assert [found.sentence for found in diagnose(analysis) if found.severity == "fault"] == []


def test_a_zeroed_offset_convolution_is_dead(plant: Plant, analysis: Explanation):
    def zero(layer: SIFA) -> None:
        torch.nn.init.zeros_(layer.offset.conv.weight)
        torch.nn.init.constant_(layer.offset.conv.bias, DEAD_OFFSET / 2)

    dead = plant(zero)["dead_offsets"]
    assert dead.layers == (analysis.layers[-1],)
    assert dead.severity == "fault"
    assert f"The offsets of {analysis.layers[-1]} are dead" in dead.sentence
    assert "optimizer" in dead.advice


def test_a_large_bias_throws_points_out_of_the_picture(plant: Plant, analysis: Explanation):
    found = plant(lambda layer: torch.nn.init.constant_(layer.offset.conv.bias, 50.0))
    assert found["out_of_frame"].layers == (analysis.layers[-1],)
    assert found["out_of_frame"].sentence.startswith("100 % of the sampling points")


def test_a_bias_without_weights_is_stuck(plant: Plant, analysis: Explanation):
    found = plant(lambda layer: torch.nn.init.zeros_(layer.offset.conv.weight))
    assert found["stuck_offsets"].layers == (analysis.layers[-1],)
    assert "dead_offsets" not in found


def test_a_gate_at_zero_is_closed(plant: Plant, analysis: Explanation):
    def close(layer: SIFA) -> None:
        torch.nn.init.zeros_(layer.gate.gain)

    assert plant(close)["closed_gate"].layers == (analysis.layers[-1],)


def test_numbers_that_are_none(analysis: Explanation):
    trace = analysis.traces[analysis.layers[-1]]
    offset = trace.offset.copy()
    offset[0, 0, 0, 0, 0] = float("nan")
    found = kinds(with_trace(analysis, offset=offset))
    assert found["non_finite"].layers == (analysis.layers[-1],)
    assert not {"stuck_offsets", "out_of_frame"} & set(found), "one cause is named once"


def test_weights_on_one_point_have_collapsed(analysis: Explanation):
    weights = analysis.traces[analysis.layers[-1]].weights * 0
    weights[:, 4] = 7.0
    assert kinds(with_trace(analysis, weights=weights))["collapsed_attention"].layers == (analysis.layers[-1],)


def test_weights_that_are_all_alike_are_uniform_and_zeros_are_silent(analysis: Explanation):
    weights = analysis.traces[analysis.layers[-1]].weights * 0
    found = kinds(with_trace(analysis, weights=weights))
    assert found["silent_attention"].layers == (analysis.layers[-1],)
    assert "uniform_attention" not in found
    found = kinds(with_trace(analysis, weights=weights + 0.2))
    assert found["uniform_attention"].layers == (analysis.layers[-1],)
    assert "collapsed_attention" not in found


def test_offsets_against_the_motion_are_noted(analysis: Explanation):
    others = {"res3.0": analysis.traces["res3.0"]}
    trace = others["res3.0"]
    offset = trace.offset * 0
    offset[:, :, 0] = -9.0  # the square moves right
    weights = trace.weights * 0
    weights[:, 5] = 1.0  # the tap on the right, which alone would be right
    others["res3.0"] = dataclasses.replace(trace, offset=offset, weights=weights)
    changed = Explanation(analysis.model, analysis.clip, analysis.video, analysis.logits, others)
    astray = kinds(changed)["astray"]
    assert astray.layers == ("res3.0",)
    assert astray.severity == "note"


def test_a_clip_without_motion_is_noted(model: VideoModel, clip: Clip):
    found = kinds(analyze(model, clip.frozen()))
    assert "nothing_moves" in found
    assert "astray" not in found


def test_an_untrained_model_is_not_blamed_for_its_zeros(clip: Clip):
    analysis = analyze(untrained_model("sifa_net_tiny"), clip)
    found = kinds(analysis)
    assert found["dead_offsets"].layers == tuple(analysis.layers)
    assert found["dead_offsets"].severity == "note"
    assert "and 2 more" in found["dead_offsets"].sentence
    assert "Without training this is as it should be" in found["dead_offsets"].sentence


def test_warnings_are_kept_and_plain(analysis: Explanation):
    assert analysis.warnings() is analysis.warnings()
    for diagnostic in analysis.warnings():
        assert set(diagnostic.to_dict()) == {"kind", "severity", "layers", "sentence", "advice"}
