"""SIFA_C against the correlation written out cell by cell."""

import torch

from sifa_core.layers import TemporalConfig, build_temporal


def test_correlations_with_the_next_frame_are_projected_and_added(clips, randomise):
    x = clips()
    layer = randomise(build_temporal("sifa_c", 8, TemporalConfig()))
    correlation = torch.zeros(6, 9, 5, 7, dtype=torch.float64)
    for row, following in enumerate([1, 2, 2, 4, 5, 5]):
        for y in range(5):
            for column in range(7):
                for tap in range(9):
                    above, left = y + tap // 3 - 1, column + tap % 3 - 1
                    if 0 <= above < 5 and 0 <= left < 7:
                        key = x[following, :, above, left]
                        correlation[row, tap, y, column] = x[row, :, y, column] @ key / 8
    projection = layer.project.weight[:, :, 0, 0]
    added = torch.einsum("ck,nkhw->nchw", projection, correlation) + layer.project.bias[:, None, None]
    torch.testing.assert_close(layer(x, 3), x + added)


def test_it_starts_as_the_identity_and_learns(clips):
    x = clips()
    layer = build_temporal("sifa_c", 8, TemporalConfig()).double()
    output = layer(x, 3)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert layer.project.weight.grad.abs().sum() > 0
