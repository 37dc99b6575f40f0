"""Training the authors' network: both heads learn, and their checkpoints can be the start."""

import argparse
import json

import numpy as np
import pytest
import torch

from sifa_core.cli import main
from sifa_core.data.motion15 import LABELS
from sifa_core.data.mp4 import write_mp4
from sifa_core.errors import ConfigError
from sifa_core.models import load_model
from sifa_core.training import evaluate_checkpoint, load_config, train
from sifa_core.training.build import build_model
from sifa_core.training.config import DataConfig
from tests.models.test_official import FRAMES, LAYERS, WIDTH, authors_shapes

RECIPE = """
model: {name: sifa_net_tiny, fields: {preset: official, width: 8, layers: [1, 2, 2, 2], dropout: 0.0}}
data: {kind: motion15, num_frames: 16, crop: 64, shapes: [[64, 64]], workers: 0, val_size: 4}
optimizer: {name: adamw, lr: 0.001, offset_penalty: 0.01}
run: {steps: 2, batch: 2, log_every: 1, save_every: 2}
"""

GREY = np.full((8, 48, 64, 3), 90, np.uint8)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "official.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return lambda *overrides: load_config(path, [f"run.out={tmp_path / 'run'}", *overrides])


def test_both_heads_learn(recipe):
    result = train(recipe(), quiet=True)
    trained = load_model(result.checkpoint)
    assert trained.config.dual_head
    assert result.validation.count == 4
    torch.manual_seed(recipe().run.seed)
    start = build_model(recipe(), LABELS).state_dict()
    for head in ("fc", "fc_dual"):
        change = (trained.state_dict()[f"{head}.weight"] - start[f"{head}.weight"]).abs().max()
        assert 0 < change < 0.01  # two steps away from the same start


def test_true_motion_is_refused_as_the_target_of_frames_pooled_in_pairs(recipe):
    with pytest.raises(ConfigError, match="offset_target=motion is not possible"):
        build_model(recipe("optimizer.offset_target=motion"), LABELS)


def test_a_checkpoint_of_the_authors_is_a_start(recipe, tmp_path):
    torch.manual_seed(0)
    shapes = authors_shapes(LAYERS, width=WIDTH, frames=FRAMES, classes=9)
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    for name, value in state.items():
        if name.endswith("def_cor.weight"):
            value.fill_(1 / value.shape[0])
    torch.save({"model": state}, tmp_path / "theirs.pth")
    fields = [f"model.fields.width={WIDTH}", f"model.fields.layers={list(LAYERS)}"]
    network = build_model(recipe(f"model.weights={tmp_path / 'theirs.pth'}", *fields), LABELS)
    assert torch.equal(network.layer3[1].temporal.offset.conv.weight, state["layer3.1.conv_offset.weight"][:, :, 0])
    assert network.fc_dual.out_features == len(LABELS)  # theirs has 9 classes, so the heads start afresh


@pytest.fixture
def current(tmp_path):
    """A file as their training saves it: options, parallel names, states of optimizer and scheduler, the epoch."""
    torch.manual_seed(0)
    state = {}
    for name, shape in authors_shapes(LAYERS, width=WIDTH, frames=FRAMES, classes=3).items():
        is_scale = name.endswith("def_cor.weight")
        state[f"module.{name}"] = torch.full(shape, 1 / shape[0]) if is_scale else torch.rand(shape) * 0.1
    options = argparse.Namespace(net_name="c2d_sifa_resnet50", C={"sampler": {"clip_length": 4 * FRAMES}})
    optimizer = {"state": {}, "param_groups": [{"lr": 0.04, "params": [0]}]}
    content = {"opt": options, "model": state, "optimizer": optimizer, "scheduler": {"last_epoch": 7}, "epoch": 64}
    torch.save(content, tmp_path / "current.pth")
    return tmp_path / "current.pth"


@pytest.mark.parametrize(
    ("lines", "labels", "said"),
    [
        ("a.mp4,zumba\nb.mp4,abseiling\nc.mp4,archery\n", ("abseiling", "archery", "zumba"), "order of their names"),
        ("a.mp4 8 2\nb.mp4 8 0\n", ("class 0", "class 1", "class 2"), "2 videos, 1 clip(s)"),
    ],
    ids=["names", "numbers"],
)
def test_their_own_file_evaluates_without_a_label_file(current, tmp_path, capsys, lines, labels, said):
    for name in "abc":
        write_mp4(tmp_path / f"{name}.mp4", GREY, 10)
    (tmp_path / "val.txt").write_text(lines)
    data = f"{{kind: list, train: {tmp_path / 'val.txt'}, val: {tmp_path / 'val.txt'}, workers: 0}}"
    (tmp_path / "data.yaml").write_text(f"data: {data}\n")
    command = ["evaluate", "--model", str(current), "--config", str(tmp_path / "data.yaml"), "--size", "32"]
    assert main([*command, "--json", "-o", str(tmp_path / "report")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert tuple(found["labels"]) == labels
    assert said in found["protocol"]
    rows = (tmp_path / "report" / "predictions.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == [labels[2], labels[0], *labels[1:2]][: len(rows)]


def test_names_that_are_fewer_than_its_classes_are_refused(current, tmp_path):
    (tmp_path / "val.txt").write_text("a.mp4,zumba\nb.mp4,abseiling\n")
    write_mp4(tmp_path / "a.mp4", GREY, 10)
    data = DataConfig("list", "", str(tmp_path / "val.txt"), str(tmp_path / "val.txt"), workers=0)
    with pytest.raises(ConfigError, match=r"the data set has 2; data.labels names a file of all of them"):
        evaluate_checkpoint(current, data)
