"""Runs that start from the weights of another network."""

from __future__ import annotations

import pytest
import torch

from sifa_core.data.motion15 import LABELS
from sifa_core.errors import CheckpointError
from sifa_core.models import create_model, save_checkpoint
from sifa_core.training.build import build_model
from sifa_core.training.config import TrainConfig, from_dict


@pytest.fixture
def start(tmp_path):
    """A checkpoint of a small network with SIFA, and a function that builds a network from it."""
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=8, layers=(1, 1, 1, 2), num_classes=3)
    path = save_checkpoint(tmp_path / "start.safetensors", model)

    def build(weights=path, **fields):
        content = {"weights": str(weights), "fields": {"width": 8, "layers": [1, 1, 1, 2], **fields}}
        return build_model(from_dict(TrainConfig, {"model": content}), LABELS)

    return model, build


@pytest.mark.parametrize(
    "fields", [{}, {"temporal": "none"}, {"temporal": "temporal_shift"}, {"kernel_size": 5}, {"gate": "channel"}]
)
def test_a_start_lends_all_but_the_head_and_other_temporal_modules(start, fields):
    model, build = start
    network = build(**fields)
    own, theirs, said = network.state_dict(), model.state_dict(), network.info.facts["start"]
    left, new = set(said["left_out_of_the_file"]), set(said["not_in_the_file"])
    assert said["weights"] == "start.safetensors"
    assert said["taken"] == len(theirs) - len(left)
    assert all(torch.equal(own[key], theirs[key]) for key in theirs if key not in left)
    assert {"fc.weight", "fc.bias"} <= left
    assert all(".temporal." in key for key in (left | new) - {"fc.weight", "fc.bias"})
    assert (left | new == {"fc.weight", "fc.bias"}) == (not fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"width": 4}, r"start.safetensors does not fit sifa_net_tiny: conv1.weight is \(8, 3, 4.* more"),
        ({"layers": (1, 1, 1, 1)}, r"layer4.1.conv1.weight is unexpected"),
        ({"layers": (1, 1, 2, 2)}, r"layer3.1.conv1.weight is missing"),
        ({"temporal_stride": 1}, r"conv1.weight is \(8, 3, 4, 7, 7\) instead of \(8, 3, 1, 7, 7\)"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start, fields, said):
    with pytest.raises(CheckpointError, match=said):
        start[1](**fields)


def test_a_name_without_trained_weights_is_no_start(start):
    with pytest.raises(CheckpointError, match="model.weights=sifa_transformer_tiny is no start"):
        start[1](weights="sifa_transformer_tiny")
