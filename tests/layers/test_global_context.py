"""Global context against a mean and two matrix products per clip."""

import torch

from sifa_core.layers.global_context import GlobalContext
from sifa_core.layers.initialisation import initialise


def test_every_frame_of_a_clip_gets_the_clips_vector(clips, randomise):
    x = clips(channels=32)
    layer = randomise(GlobalContext(32))
    output = layer(x, 3)
    assert output.shape == (6, 32, 1, 1)
    for clip in range(2):
        mean = sum(x[clip * 3 + t, :, y, c] for t in range(3) for y in range(5) for c in range(7)) / 105
        hidden = (layer.reduce.weight @ mean + layer.reduce.bias).relu()
        expected = layer.expand.weight @ hidden + layer.expand.bias
        for t in range(3):
            torch.testing.assert_close(output[clip * 3 + t, :, 0, 0], expected)


def test_it_starts_silent_also_within_a_model(clips):
    layer = GlobalContext(8)
    initialise(layer)
    assert not layer.double()(clips(), 3).any()
    assert layer.reduce.weight.any()
