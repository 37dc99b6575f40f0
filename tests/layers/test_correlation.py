"""CorrNet's correlation against its definition, cell by cell."""

import pytest
import torch
from torch.nn import functional as F

from sifa_core.layers import TemporalConfig, build_temporal


@pytest.mark.parametrize(("channels", "kernel_size"), [(8, 3), (64, 3), (8, 5)])
def test_it_adds_the_projected_matches_with_the_frame_before(clips, randomise, channels, kernel_size):
    x = clips(channels=channels, height=3, width=4)
    layer = randomise(build_temporal("correlation", channels, TemporalConfig(kernel_size=kernel_size)))
    a = F.conv2d(x, layer.reduce.weight)
    size, taps = a.shape[1] // layer.groups, kernel_size**2
    scores = torch.zeros(6, taps, layer.groups, 3, 4, dtype=torch.float64)
    for row, before in enumerate([0, 0, 1, 3, 3, 4]):
        for y in range(3):
            for column in range(4):
                for tap in range(taps):
                    above, left = (
                        y + tap // kernel_size - kernel_size // 2,
                        column + tap % kernel_size - kernel_size // 2,
                    )
                    if 0 <= above < 3 and 0 <= left < 4:
                        matches = layer.filter[tap] * a[row, :, y, column] * a[before, :, above, left]
                        for group in range(layer.groups):
                            scores[row, tap, group, y, column] = matches[group * size : (group + 1) * size].mean()
    projected = F.conv2d(scores.flatten(1, 2), layer.project.weight, layer.project.bias)
    torch.testing.assert_close(layer(x, 3), x + projected)


def test_groups_hold_eight_of_a_quarter_of_the_channels():
    layer = build_temporal("correlation", 512, TemporalConfig())
    assert (layer.reduce.out_channels, layer.groups) == (128, 16)
    assert layer.project.in_channels == 16 * 9


def test_it_starts_as_the_identity_and_learns(clips):
    x = clips()
    layer = build_temporal("correlation", 8, TemporalConfig()).double()
    output = layer(x, 3)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert layer.project.weight.grad.abs().sum() > 0
