"""The temporal shift against a loop over frames and channels."""

import pytest
import torch

from sifa_core.layers import TemporalConfig, build_temporal


@pytest.mark.parametrize(("channels", "moved"), [(16, 2), (8, 1), (3, 1), (1, 0)])
def test_an_eighth_moves_each_way(clips, channels, moved):
    x = clips(channels=channels)
    expected = torch.zeros_like(x)
    for clip in range(2):
        for t in range(3):
            for channel in range(channels):
                source = t + 1 if channel < moved else t - 1 if channel < 2 * moved else t
                if 0 <= source < 3:
                    expected[clip * 3 + t, channel] = x[clip * 3 + source, channel]
    before = x.clone()
    layer = build_temporal("temporal_shift", channels, TemporalConfig())
    assert torch.equal(layer(x, 3), expected)
    assert torch.equal(x, before)
    assert list(layer.parameters()) == []


def test_memory_format_is_kept_and_gradients_flow_back(clips):
    x = clips().requires_grad_()
    output = build_temporal("temporal_shift", 8, TemporalConfig())(x, 3)
    assert output.is_contiguous(memory_format=torch.channels_last)
    output.sum().backward()
    used = x.grad.sum(dim=(2, 3)) / 35  # how often each channel of each frame is read
    assert used[:3, 0].tolist() == [0, 1, 1]
    assert used[:3, 1].tolist() == [1, 1, 0]
    assert (used[:, 2:] == 1).all()
