"""Parts of the block switched off: each does what it says, where it says, and leaves no trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sifa_core.errors import QueryError
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.studies.ablation import PARTS, ablate, compare, has_part, switched_off
from sifa_core.explain.studies.equations import explain_equations
from sifa_core.models import create_model
from tests.small_models import model_with_offsets


def test_without_offsets_the_points_lie_on_the_regular_grid(analysis: Explanation) -> None:
    ablation = ablate(analysis, "offsets")
    points = ablation.sampling_points((1, 60, 40), "res4.1", 2)
    np.testing.assert_array_equal(points.points, points.base)
    assert not np.allclose(analysis.sampling_points((1, 60, 40), "res4.1", 2).points, points.points)
    # The first layer's features are those of the whole model, so its weights are those of Eq. 1.
    column, row = (steps := explain_equations(analysis, (1, 60, 40), "res3.0")).cell
    weights = ablation.changed.traces["res3.0"].weights[1, :, row, column]
    np.testing.assert_allclose(weights, steps.regular.weights, atol=1e-5)


def test_without_motion_saliency_the_difference_is_zero(analysis: Explanation) -> None:
    ablation = ablate(analysis, "msm", ["res3.0"])
    conv = analysis.model.sifa_layers()["res3.0"].offset.conv
    caught = []
    handle = analysis.model.sifa_layers()["res3.0"].attention.register_forward_hook(
        lambda module, inputs, output: caught.append(inputs[1])
    )
    analyze(analysis.model, analysis.clip)
    handle.remove()
    with torch.no_grad():
        expected = conv(0.5 * caught[0]).unflatten(1, (-1, 2)).flip(2)
    np.testing.assert_allclose(ablation.changed.traces["res3.0"].offset, expected, atol=1e-5)


def test_without_attention_the_network_sees_frames_alone(analysis: Explanation) -> None:
    ablation = ablate(analysis, "attention")
    plain = create_model("sifa_net_tiny", temporal="none").eval()
    plain.load_state_dict({key: value for key, value in analysis.model.state_dict().items() if ".temporal." not in key})
    with torch.no_grad():
        logits = plain(analysis.video)[0]
    np.testing.assert_allclose(ablation.changed.logits, logits, rtol=1e-4, atol=1e-4)
    assert not np.allclose(analysis.logits, logits, atol=1e-3)


def test_only_the_layers_named_are_changed(analysis: Explanation) -> None:
    ablation = ablate(analysis, "offsets", ["res4.1"])
    assert ablation.layers == ("res4.1",)
    traces = ablation.changed.traces
    assert np.all(traces["res4.1"].offset == 0)
    for earlier in ("res3.0", "res4.0"):
        np.testing.assert_array_equal(traces[earlier].offset, analysis.traces[earlier].offset)
    assert np.any(traces["res5.0"].offset != analysis.traces["res5.0"].offset), "later layers see other features"


def test_the_model_is_left_as_it_was(analysis: Explanation) -> None:
    for part in PARTS:
        ablate(analysis, part)
    with pytest.raises(ZeroDivisionError), switched_off(analysis.model, "attention", analysis.layers):
        raise ZeroDivisionError
    again = analyze(analysis.model, analysis.clip)
    np.testing.assert_array_equal(again.logits, analysis.logits)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in analysis.model.modules())


def test_what_does_not_exist_cannot_be_switched_off(analysis: Explanation, clip) -> None:
    with pytest.raises(QueryError, match="choose one of msm, offsets, attention"):
        ablate(analysis, "sigmoid")
    with pytest.raises(QueryError, match="no SIFA layer"):
        ablate(analysis, "msm", ["res1.0"])
    other = analyze(create_model("sifa_net_tiny", offset_from="next").eval(), clip)
    assert [has_part(other.model, part) for part in PARTS] == [False, True, True]
    with pytest.raises(QueryError, match="motion saliency"):
        ablate(other, "msm")
    regular = create_model("sifa_net_tiny", temporal="sifa_r")
    assert [has_part(regular, part) for part in PARTS] == [False, False, True]


def test_a_query_is_compared_with_itself(clip) -> None:
    analysis = analyze(
        model_with_offsets(open_branches=False), clip
    )  # without its offsets, too, all numbers are finite
    selection = analysis.select((1, 60, 40), "res4.1", 2)
    ablation = ablate(analysis, "offsets")
    comparison = compare(analysis, ablation, selection, best=2)
    distances = np.linalg.norm(comparison.before.points - comparison.before.base, axis=1)
    assert comparison.moved == pytest.approx(distances.mean())
    assert comparison.probabilities == [], "an untrained model's probabilities are not shown"

    own = analyze(create_model("sifa_net_tiny").eval(), analysis.clip)
    own.info = replace(own.info, status="own")
    other = ablate(own, "attention")
    compared = compare(own, other, own.select(), best=2).probabilities
    best = {label for label, _ in own.predictions[:2] + other.predictions[:2]}
    assert {label for label, _, _ in compared} == best
    for label, before, after in compared:
        assert before == dict(own.predictions)[label]
        assert after == dict(other.predictions)[label]
