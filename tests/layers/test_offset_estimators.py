"""Offset estimators that see more, or something else, than the paper's motion saliency map."""

import pytest
import torch
from torch.nn import functional as F

from sifa_core.errors import ConfigError
from sifa_core.layers import SIFA, TemporalConfig
from sifa_core.layers.offset_estimators import build_offset_estimator


def test_conv3d_sums_over_three_frames_around_the_sampled_one(clips, randomise):
    x = clips(frames=3, count=2, channels=4, height=3, width=4)
    estimator = randomise(build_offset_estimator("conv3d", 4, 1))
    kernel = estimator.conv.weight  # (2, 4, 3, 3, 3)
    expected = estimator.conv.bias[None, :, None, None].expand(6, 2, 3, 4).clone()
    for clip in range(2):
        for t in range(3):
            for tap, source in enumerate((t - 1, t, t + 1)):
                if 0 <= source < 3:
                    row = clip * 3 + source
                    expected[clip * 3 + t] += F.conv2d(x[row : row + 1], kernel[:, :, tap], padding=1)[0]
    torch.testing.assert_close(estimator(x, 3), expected)


@pytest.mark.parametrize("last_frame", ["self", "skip"])
def test_a_block_samples_frame_t_plus_1_with_the_offsets_of_that_frame(clips, randomise, last_frame):
    x = clips(channels=4)
    layer = randomise(SIFA(4, TemporalConfig(kernel_size=1, offset_from="conv3d", last_frame=last_frame)))
    seen = []
    layer.attention.register_forward_hook(lambda module, inputs, output: seen.append(inputs[2]))
    layer(x, 3)
    sampled = [1, 2, 2, 4, 5, 5] if last_frame == "self" else [1, 2, 4, 5]
    torch.testing.assert_close(seen[0], layer.offset(x, 3)[sampled])


def test_the_residual_adds_frame_t_plus_1_to_the_saliency_map(clips, randomise):
    now, after = clips(frames=2, count=1).split(1)
    estimator = randomise(build_offset_estimator("msm", 8, 3, residual=True))
    cue = after / (1 + torch.exp(now - after)) + after
    expected = F.conv2d(cue, estimator.conv.weight, estimator.conv.bias, padding=1)
    torch.testing.assert_close(estimator(now, after), expected)


def test_the_residual_is_a_switch_of_the_saliency_map_only(clips, randomise):
    now, after = clips(frames=2, count=1).split(1)
    plain, residual = (
        randomise(build_offset_estimator("difference", 8, 3, residual=residual)) for residual in (False, True)
    )
    torch.testing.assert_close(plain(now, after), residual(now, after))


def test_a_switch_that_is_on_or_off_takes_nothing_else():
    with pytest.raises(ConfigError, match="msm_residual='yes' is not possible; it is true or false"):
        TemporalConfig(msm_residual="yes")
