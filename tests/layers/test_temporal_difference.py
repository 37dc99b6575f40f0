"""Temporal differences against the formulas of the TDN paper, frame by frame."""

import torch
from torch.nn import functional as F

from sifa_core.layers import TemporalConfig, build_temporal
from sifa_core.layers.temporal_difference import LongTermDifference, ShortTermDifference


def norm(block, x):
    """A ConvNorm, written out."""
    conv, bn = block
    x = F.conv2d(x, conv.weight, padding=conv.weight.shape[-1] // 2)
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    return (x - bn.running_mean[:, None, None]) * scale[:, None, None] + bn.bias[:, None, None]


def enlarge(x, height, width):
    """Nearest cell of a map of half the size, rounded up, where both sizes say so."""
    rows = [y * x.shape[2] // height for y in range(height)]
    columns = [c * x.shape[3] // width for c in range(width)]
    return x[:, :, rows][:, :, :, columns]


def halve(x):
    """Mean over 2 x 2 cells, or over what is left of them at an odd edge."""
    height, width = x.shape[2:]
    rows = [
        torch.stack([x[:, :, y : y + 2, c : c + 2].mean(dim=(2, 3)) for c in range(0, width, 2)], dim=-1)
        for y in range(0, height, 2)
    ]
    return torch.stack(rows, dim=2)


def test_short_term_adds_the_differences_to_both_neighbours(clips, randomise):
    x = clips(channels=32)
    layer = randomise(ShortTermDifference(32))
    reduced = norm(layer.reduce, x)
    for clip in (0, 3):
        for t in range(3):
            now = reduced[clip + t]
            before, after = reduced[clip + max(t - 1, 0)], reduced[clip + min(t + 1, 2)]
            differences = torch.cat((now - before, after - now))[None]
            motion = norm(layer.expand, norm(layer.convolve, halve(differences)).relu())
            expected = x[clip + t] + enlarge(motion, 5, 7)[0]
            torch.testing.assert_close(layer(x, 3)[clip + t], expected)


def test_long_term_excites_channels_by_aligned_differences(clips, randomise):
    x = clips(channels=32)
    layer = randomise(LongTermDifference(32))
    reduced = norm(layer.reduce, x)
    aligned = F.conv2d(reduced, layer.align.weight, padding=1, groups=2)
    for clip in (0, 3):
        for t in range(3):
            attention = 0
            for other in (t + 1, t - 1):
                known = 0 <= other < 3
                difference = (aligned[clip + other] - reduced[clip + t] if known else torch.zeros_like(reduced[0]))[
                    None
                ]
                scales = difference + norm(layer.full_scale, difference)
                scales = scales + enlarge(norm(layer.half_scale, halve(difference)), 5, 7)
                attention = attention + torch.sigmoid(norm(layer.expand, scales / 3)) - 0.5
            expected = x[clip + t] * (1 + attention[0] / 2)
            torch.testing.assert_close(layer(x, 3)[clip + t], expected)


def test_the_module_is_both_and_starts_as_the_identity(clips, randomise):
    x = clips(channels=32)
    layer = build_temporal("temporal_difference", 32, TemporalConfig()).double()
    output = layer(x, 3)
    torch.testing.assert_close(output, x)
    output.square().sum().backward()
    assert layer.short_term.expand[1].weight.grad.abs().sum() > 0
    assert layer.long_term.expand[1].weight.grad.abs().sum() > 0
    randomise(layer)
    torch.testing.assert_close(layer(x, 3), layer.long_term(layer.short_term(x, 3), 3))


def test_a_map_of_one_cell_and_a_clip_of_one_frame_work(clips):
    x = clips(frames=1, height=1, width=1)
    layer = build_temporal("temporal_difference", 8, TemporalConfig()).double()
    assert layer(x, 1).shape == x.shape
