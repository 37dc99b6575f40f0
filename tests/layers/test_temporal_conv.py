"""The temporal convolution against a loop over frames and taps."""

import torch

from sifa_core.layers import TemporalConfig, build_temporal
from sifa_core.layers.initialisation import initialise


def test_it_mixes_three_frames_at_each_place(clips, randomise):
    x = clips(frames=4)
    layer = randomise(build_temporal("temporal_conv", 8, TemporalConfig()))
    expected = torch.zeros_like(x)
    for clip in range(2):
        for t in range(4):
            for tap in range(3):
                if 0 <= t + tap - 1 < 4:
                    matrix = layer.conv.weight[:, :, tap, 0]
                    expected[clip * 4 + t] += torch.einsum("oc,chw->ohw", matrix, x[clip * 4 + t + tap - 1])
    torch.testing.assert_close(layer(x, 4), expected)


def test_it_starts_as_the_identity_also_within_a_model(clips):
    x = clips()
    layer = build_temporal("temporal_conv", 8, TemporalConfig())
    initialise(layer)
    assert torch.equal(layer.double()(x, 3), x)


def test_one_frame_and_other_memory_formats_work(clips, randomise):
    layer = randomise(build_temporal("temporal_conv", 8, TemporalConfig()))
    x = clips(frames=1)
    torch.testing.assert_close(layer(x, 1), layer(x.contiguous(), 1))
    x = clips()
    torch.testing.assert_close(layer(x, 3), layer(x.contiguous(), 3))
