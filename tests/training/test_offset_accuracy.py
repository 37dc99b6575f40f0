"""Offset figures against true flow, on cases whose answers are known; and evaluation from a checkpoint's name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sifa_core.data.motion15 import LABELS, MotionConfig, MotionSample, label_of, render
from sifa_core.errors import ConfigError
from sifa_core.explain.geometry import FeatureGrid
from sifa_core.models import create_model, load_model, save_checkpoint
from sifa_core.training import evaluate_checkpoint, offset_report
from sifa_core.training.config import DataConfig, TrainConfig, to_dict
from sifa_core.training.offset_accuracy import true_displacement


def steady(velocity: tuple[float, float], frames: int = 12, size: int = 64) -> MotionSample:
    """Everything moves alike; only the pictures' truth matters."""
    flow = np.broadcast_to(np.array(velocity, np.float32), (frames - 1, size, size, 2))
    moving = np.ones((frames, size, size), bool)
    return MotionSample(np.zeros((frames, size, size, 3), np.uint8), 0, 0.0, {}, flow, moving)


def test_displacement_adds_up_along_the_path():
    grid = FeatureGrid(8, 8, 64, 64)
    displacement, counted = true_displacement(steady((3.0, -1.0)), grid, 2, 4)
    np.testing.assert_allclose(displacement, np.broadcast_to([12 / 8, -4 / 8], (8, 8, 2)), atol=1e-6)
    assert counted[4, 2]
    assert not counted[4, 7]  # leaves on the right
    assert not counted[0, 2]  # leaves at the top
    assert not true_displacement(steady((0.1, 0.0)), grid, 2, 4)[1].any()


def test_displacement_follows_the_object_that_is_there():
    checked = 0
    for index in range(300):
        if LABELS[label_of(0, "val", index)] != "object moves right":
            continue
        sample = render(0, "val", index, MotionConfig(difficulty=0.0), truth=True)
        displacement, counted = true_displacement(sample, FeatureGrid(24, 24, 96, 96), 6, 4)
        if counted.any():
            assert displacement[counted][:, 0].mean() > 0
            assert counted.mean() < 0.9
            checked += 1
    assert checked >= 5


def test_report_of_offsets_that_are_known():
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=8, num_frames=16, input_size=64)
    report = offset_report(model, clips=6)
    assert list(report) == list(model.sifa_layers())
    for figures in report.values():
        assert figures["mean_offset"] == 0.0
        assert figures["out_of_frame"] == pytest.approx(figures["regular_out_of_frame"])
        assert figures["flow_error"] == pytest.approx(figures["regular_flow_error"])
        assert 0 < figures["attention_entropy"] <= 1
    for layer in model.sifa_layers().values():
        layer.offset.conv.bias.data[1::2] = 2.0  # every tap two cells to the right
    moved = offset_report(model, clips=6)
    for name, figures in moved.items():
        assert figures["mean_offset"] == pytest.approx(2.0, abs=1e-4)
        assert figures["max_offset"] == pytest.approx(2.0, abs=1e-4)
        assert figures["out_of_frame"] > report[name]["out_of_frame"]
        assert abs(figures["flow_error"] - figures["regular_flow_error"]) > 0.1
    assert model.training


def test_a_checkpoint_knows_its_own_data_set(tmp_path):
    model = create_model("sifa_net_tiny", width=8, num_frames=4, input_size=32)
    model.info = dataclasses.replace(model.info, labels=LABELS)
    path = save_checkpoint(tmp_path / "a.safetensors", model, {"training": to_dict(TrainConfig())})
    result = evaluate_checkpoint(path, size=15, out=tmp_path / "report")
    assert result.count == 15
    assert result.confusion.sum(axis=1).tolist() == [1] * 15
    assert "motion15 test, seed 0, 15 unseen clips of 32 x 32, 4 frames" in result.protocol
    assert (tmp_path / "report" / "confusion.html").is_file()
    bare = load_model(save_checkpoint(tmp_path / "b.safetensors", model))
    with pytest.raises(ConfigError, match="does not say"):
        evaluate_checkpoint(bare)
    assert evaluate_checkpoint(bare, DataConfig(workers=0), size=15).count == 15
    other = create_model("sifa_net_tiny", width=8, num_classes=3)
    with pytest.raises(ConfigError, match="3 classes"):
        evaluate_checkpoint(other, DataConfig())
