"""Training the authors' network: both heads learn, and their checkpoints can be the start."""

import pytest
import torch

from sifa_core.data.motion15 import LABELS
from sifa_core.errors import ConfigError
from sifa_core.models import load_model
from sifa_core.training import load_config, train
from sifa_core.training.build import build_model
from tests.models.test_official import FRAMES, LAYERS, WIDTH, authors_shapes

RECIPE = """
model: {name: sifa_net_tiny, fields: {preset: official, width: 8, layers: [1, 2, 2, 2], dropout: 0.0}}
data: {kind: motion15, num_frames: 16, crop: 64, shapes: [[64, 64]], workers: 0, val_size: 4}
optimizer: {name: adamw, lr: 0.001, offset_penalty: 0.01}
run: {steps: 2, batch: 2, log_every: 1, save_every: 2}
"""


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
