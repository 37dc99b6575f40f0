"""The loss of offsets: their length, and the clip's true motion."""

from __future__ import annotations

import pytest
import torch

from sifa_core.data.datasets import MotionDataset
from sifa_core.data.datasets.base import collate
from sifa_core.data.motion15 import LABELS, MotionConfig
from sifa_core.data.transforms import normalize
from sifa_core.errors import ConfigError
from sifa_core.models import create_model
from sifa_core.training.build import build_model
from sifa_core.training.config import TrainConfig, from_dict
from sifa_core.training.offset_loss import OffsetLoss, distance_from_motion


def test_offset_penalty_is_the_mean_square_and_pulls_offsets_in():
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=4, layers=(1, 1, 1, 1))
    offset_loss = OffsetLoss(model, 0.5)
    video = torch.randn(1, 3, 8, 32, 32)
    model(video)
    assert offset_loss().item() == 0.0
    for layer in model.sifa_layers().values():
        layer.offset.conv.bias.data.fill_(2.0)
    model(video)
    price = offset_loss()
    assert price.item() == pytest.approx(0.5 * 3 * 4.0)
    price.backward()
    assert all((layer.offset.conv.bias.grad > 0).all() for layer in model.sifa_layers().values())
    assert offset_loss() == 0.0
    with torch.inference_mode():
        model(video)
    assert offset_loss() == 0.0
    free = create_model("sifa_net_tiny", width=4)
    OffsetLoss(free, 0.0)
    assert not any(module._forward_hooks for module in free.modules())


def test_offsets_are_drawn_to_true_motion():
    """Two clips of two frames on 4 x 4 cells of 8 pixels, seen by a layer with 2 x 2 cells of 16 pixels."""
    motion = torch.zeros(2, 2, 4, 4, 2)
    motion[0, 0] = torch.tensor([32.0, -16.0])  # two cells right and one up, everywhere
    motion[0, 0, :2, :2] = float("nan")
    motion[1, 1, 2:, 2:, 0] = 8.0  # half a cell right in one corner
    motion[1, 1, 2, 2] = float("nan")  # of four small cells, three are known
    perfect = torch.zeros(4, 18, 2, 2)
    perfect[0, 0::2], perfect[0, 1::2] = -1.0, 2.0
    perfect[3, 1::2, 1, 1] = 0.5
    assert distance_from_motion(perfect, motion).item() == 0.0
    anywhere = perfect.clone()
    anywhere[0, :, 0, 0] = 7.0
    assert distance_from_motion(anywhere, motion).item() == 0.0, "no price where the truth is unknown"
    # Zero offsets: clip 0 misses by (2, 1) in 3 moving cells of frame 0, clip 1 by half a cell in its only moving one.
    large, small = (1.5 + 0.5) / 2, (0.5 * 0.5**2) / 2
    assert distance_from_motion(torch.zeros(4, 18, 2, 2), motion).item() == pytest.approx((large + small) / 2)
    with pytest.raises(ConfigError, match="temporal_stride=4"):  # of a network with twice the feature frames
        distance_from_motion(torch.zeros(8, 18, 2, 2), motion)
    # Without pairs for the last frames there are two maps, of the first frames.
    assert distance_from_motion(torch.zeros(2, 18, 2, 2), motion).item() == pytest.approx(large / 2)
    with pytest.raises(ConfigError, match="multiples of 32"):
        distance_from_motion(torch.zeros(4, 18, 3, 3), motion)


def test_true_motion_reaches_the_offsets():
    data = MotionDataset("train", 30, MotionConfig(8, 64, 64), fresh=True, with_motion=True)
    batch = collate([data[index, index] for index in range(3)])
    assert batch.motion is not None
    assert batch.motion.shape == (3, 2, 8, 8, 2)
    model = create_model("sifa_net_tiny", width=4)
    offset_loss = OffsetLoss(model, 0.5)
    model(normalize(batch.clips[:, 0], model.info.mean, model.info.std))
    price = offset_loss(batch.motion)
    assert price > 0
    price.backward()
    assert all(layer.offset.conv.bias.grad.abs().max() > 0 for layer in model.sifa_layers().values())


def test_true_motion_goes_to_the_device_of_the_offsets():
    """Batches are drawn on the CPU, wherever the network is."""
    model = create_model("sifa_net_tiny", width=4).to("meta")
    offset_loss = OffsetLoss(model, 0.5)
    model(torch.empty(1, 3, 8, 64, 64, device="meta"))
    assert offset_loss(torch.zeros(1, 2, 8, 8, 2)).device.type == "meta"


def test_a_network_that_looks_back_has_no_one_motion():
    content = {"model": {"fields": {"width": 4, "temporal": "sifa_star"}}, "optimizer": {"offset_target": "motion"}}
    with pytest.raises(ConfigError, match="also looks back"):
        build_model(from_dict(TrainConfig, content), LABELS)
