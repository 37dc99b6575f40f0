"""SIFA* against SIFA applied to the clip and to the clip played backwards."""

import pytest
import torch

from sifa_core.layers import SIFA, TemporalConfig, build_temporal


@pytest.mark.parametrize("last_frame", ["self", "skip"])
@pytest.mark.parametrize("source", ["msm", "conv3d"])
def test_it_adds_what_both_neighbours_give(clips, randomise, last_frame, source):
    x = clips()
    config = TemporalConfig(last_frame=last_frame, offset_from=source)
    layer = randomise(build_temporal("sifa_star", 8, config))
    if source == "conv3d":  # time runs backwards for the second copy below, so its kernel must not tell the directions
        symmetric = layer.previous.offset.conv.weight + layer.previous.offset.conv.weight.flip(2)
        layer.previous.offset.conv.weight.data.copy_(symmetric / 4)
    onward, back = SIFA(8, config).double(), SIFA(8, config).double()
    onward.load_state_dict({k: v for k, v in layer.state_dict().items() if not k.startswith("previous.")})
    back.load_state_dict(layer.previous.state_dict())
    reverse = [2, 1, 0, 5, 4, 3]
    expected = onward(x, 3) + back(x[reverse], 3)[reverse] - x
    torch.testing.assert_close(layer(x, 3), expected)


def test_both_directions_have_offsets_that_learn(clips):
    layer = build_temporal("sifa_star", 8, TemporalConfig()).double()
    layer(clips(), 3).square().sum().backward()
    names = {name for name, parameter in layer.named_parameters() if parameter.grad.abs().sum() > 0}
    assert {"offset.conv.weight", "previous.offset.conv.weight"} <= names


def test_a_still_clip_gets_the_same_from_both(clips):
    still = clips(frames=1, count=1).expand(3, -1, -1, -1)
    once = build_temporal("sifa", 8, TemporalConfig()).double()(still, 3) - still
    torch.testing.assert_close(build_temporal("sifa_star", 8, TemporalConfig()).double()(still, 3) - still, 2 * once)
