"""A checkpoint made fit to be given away: the stored numbers are the measured ones."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from sifa_core.data.motion15 import LABELS, render
from sifa_core.data.mp4 import write_mp4
from sifa_core.models import create_model, load_model, save_checkpoint
from sifa_core.training import evaluate_checkpoint
from sifa_core.training.config import ModelConfig, TrainConfig, to_dict
from sifa_core.training.release import release


def test_release(tmp_path):
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=8, num_frames=4, input_size=32)
    model.info = dataclasses.replace(model.info, labels=LABELS)
    training = to_dict(TrainConfig(ModelConfig(fields={"width": 8}, weights=str(tmp_path / "start.safetensors"))))
    start = {"weights": str(tmp_path / "start.safetensors"), "taken": 3}
    facts = {"step": 7, "training": training, "start": start}
    source = save_checkpoint(tmp_path / "run" / "model.safetensors", model, facts)
    examples = tmp_path / "examples"
    examples.mkdir()
    write_mp4(examples / "walks.mp4", render(0, "val", 3).frames, 15)

    card = release(
        source,
        tmp_path / "out" / "tiny.safetensors",
        clips=15,
        examples=examples,
        history="Trained in two parts.",
        say=lambda text: None,
    )
    target = card.parent / "tiny.safetensors"
    assert target.stat().st_size < 0.6 * source.stat().st_size
    stored = load_model(target)
    facts = stored.info.facts
    assert facts["step"] == 7
    assert facts["training"]["model"]["weights"] == "start.safetensors"
    assert facts["training"]["run"]["out"] == "run"
    assert facts["start"] == {"weights": "start.safetensors", "taken": 3}
    assert str(tmp_path) not in json.dumps(facts), "folders of this machine are nobody's business"
    assert facts["metrics"]["top1"] == pytest.approx(evaluate_checkpoint(stored, size=15).accuracy)
    assert set(facts["controls"]) == {"shuffled", "frozen", "between"}
    assert set(facts["offsets"]) == set(stored.sifa_layers())
    assert facts["example_clips"][0]["clip"] == "walks"
    assert facts["example_clips"][0]["top3"][0][0] in LABELS
    text = card.read_text()
    assert f"**{100 * facts['metrics']['top1']:.1f} % top-1, {100 * facts['metrics']['top5']:.1f} % top-5**" in text
    assert "7 steps on 224 clips" in text
    assert "| walks |" in text
    assert "\n\nTrained in two parts.\n\n" in text, "a paragraph of its own"
    assert facts["history"] == "Trained in two parts."
    for label in LABELS:
        assert f"| {label} |" in text
    weight = model.fc.weight.detach()
    np.testing.assert_allclose(stored.fc.weight.detach(), weight, rtol=1e-3, atol=1e-5)
    assert stored.fc.weight.dtype == torch.float32
