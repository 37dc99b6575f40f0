"""Controls: the right frames in the right order, their predictions beside the original's, and no trace left behind."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from sifa_core.data import Clip
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.studies.ablation import without_offsets
from sifa_core.explain.studies.controls import MEANINGS, Control, control_clips, run_controls
from sifa_core.models import VideoModel


def test_the_clips_hold_the_same_window(clip: Clip):
    clips = control_clips(clip, 4, seed=1)
    assert list(clips) == list(MEANINGS) == ["frozen", "reversed", "shuffled", "held"]
    assert (clips["frozen"].frames == clip.frames[8]).all()
    assert (clips["reversed"].frames == clip.frames[::-1]).all()
    order = clips["shuffled"].indices
    assert sorted(order) == list(range(16))
    assert order.tolist() != list(range(16))
    assert (clips["shuffled"].frames == clip.frames[order]).all()
    assert (control_clips(clip, 4, seed=1)["shuffled"].indices == order).all()
    assert (control_clips(clip, 4, seed=2)["shuffled"].indices != order).any()
    assert clips["held"].indices.tolist() == [2] * 4 + [6] * 4 + [10] * 4 + [14] * 4
    assert "held" not in control_clips(clip, 1), "there is nothing to hold"


def test_each_control_is_an_analysis_of_its_clip(analysis: Explanation, model: VideoModel, clip: Clip):
    controls = analysis.controls(seed=4)
    label, probability = analysis.predictions[0]
    for control, changed in zip(controls, control_clips(clip, 4, seed=4).values(), strict=True):
        alone = analyze(model, changed)
        assert torch.equal(control.analysis.logits, alone.logits)
        assert control.label == label
        assert control.change == pytest.approx(dict(alone.predictions)[label] - probability, abs=1e-7)
        assert control.meaning == MEANINGS[control.name]
        assert control.frozen == controls[0].probability
    assert abs(controls[1].change) > 1e-6, "time matters to this model"


def test_nothing_moves_in_the_frozen_clip(analysis: Explanation):
    frozen = next(run_controls(analysis))
    assert frozen.name == "frozen"
    for name in analysis.layers:
        assert frozen.analysis.flow_agreement(name).moving_cells.sum() == 0


def test_as_plain_values(analysis: Explanation):
    plain = next(run_controls(analysis)).to_dict()
    assert plain["name"] == "frozen"
    assert plain["predictions"] is plain["change"] is plain["label"] is None  # the model is untrained
    assert set(plain["offset_statistics"]) == set(analysis.layers)


def test_without_offsets_is_the_regular_grid_and_nothing_else(analysis: Explanation, model: VideoModel, clip: Clip):
    regular = without_offsets(model)
    assert "without offsets" in regular.info.name
    own, shared = dict(model.named_parameters()), dict(regular.named_parameters())
    assert own.keys() == shared.keys()
    assert all(own[name] is shared[name] for name in own), "no second copy of the weights"
    changed = analyze(regular, clip)
    assert not torch.equal(changed.logits, analysis.logits)
    for name in analysis.layers:
        assert not changed.traces[name].offset.any()
        assert analysis.traces[name].offset.any()
    points = changed.sampling_points((1, 60, 40), "res4.0")
    np.testing.assert_allclose(points.points, points.base)
    assert torch.equal(analyze(model, clip).logits, analysis.logits), "the model itself keeps its offsets"


@pytest.mark.parametrize(
    ("name", "probability", "frozen", "verdict"),
    [
        ("frozen", 0.1, 0.1, "needs motion"),
        ("frozen", 0.4, 0.4, "needs no motion"),
        ("reversed", 0.0, 0.1, "turns with time"),
        ("held", 0.1, 0.1, "needs motion within a feature frame"),
        ("held", 0.5, 0.1, "rests on what is seen between feature frames"),
        ("held", 0.5, 0.7, "does not need motion within a feature frame"),
    ],
)
def test_verdicts(
    analysis: Explanation, model: VideoModel, clip: Clip, name: str, probability: float, frozen: float, verdict: str
):
    control = Control(name, analysis, "jump", 0.8, probability, frozen)
    assert control.verdict == "", "predictions of an untrained model mean nothing"
    trained = copy.copy(analysis)
    trained.info = dataclasses.replace(analysis.info, status="own")
    assert Control(name, trained, "jump", 0.8, probability, frozen).verdict == verdict
    assert Control(name, trained, "jump", 0.1, probability, frozen).verdict == "was hardly certain to begin with"
