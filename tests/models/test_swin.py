"""Swin's parts against slow, obvious ones."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from sifa_core.models.swin import (
    PatchEmbed,
    PatchMerging,
    SwinBlock,
    WindowAttention,
    relative_position_index,
    to_map,
    to_tokens,
    window_regions,
)
from tests.models import plain_swin


def test_relative_positions_count_rows_of_the_table():
    index = relative_position_index(3)
    cells = list(itertools.product(range(3), range(3)))
    for (i, (y, x)), (j, (v, u)) in itertools.product(enumerate(cells), enumerate(cells)):
        assert index[i, j] == (y - v + 2) * 5 + (x - u + 2)


@pytest.mark.parametrize(
    ("height", "width", "window", "shifts"),
    [
        (8, 8, 4, [2, 2]),
        (7, 9, 4, [2, 2]),
        (4, 9, 4, [0, 2]),
        (14, 14, 7, [3, 3]),
        (5, 3, 7, [0, 0]),
        (9, 5, 3, [1, 1]),
    ],
)
def test_only_cells_of_one_shifted_window_meet(height, width, window, shifts):
    """Against cells that are moved through padding, rolling and partition one by one."""
    padded = [-(-side // window) * window for side in (height, width)]
    regions = window_regions(height, width, window, shifts, torch.device("cpu"))
    assert regions.shape == (padded[0] * padded[1] // window**2, window**2)
    place = {}
    for y, x in itertools.product(range(padded[0]), range(padded[1])):
        row, column = (y - shifts[0]) % padded[0], (x - shifts[1]) % padded[1]
        number = (row // window) * (padded[1] // window) + column // window
        place[y, x] = number, (row % window) * window + column % window
    shifted_window = {
        (y, x): ((y - shifts[0]) // window, (x - shifts[1]) // window)
        for y, x in itertools.product(range(height), range(width))
    }
    for first, second in itertools.combinations(place, 2):
        if place[first][0] != place[second][0]:
            continue
        meet = bool(regions[place[first]] == regions[place[second]])
        if first in shifted_window and second in shifted_window:
            assert meet == (shifted_window[first] == shifted_window[second])
        else:  # padding meets nothing but padding
            assert meet == (first not in shifted_window and second not in shifted_window)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 8), (6, 9), (3, 5), (1, 1), (2, 13)])
def test_window_attention_is_attention_within_windows(height, width, shift):
    torch.manual_seed(0)
    attention = WindowAttention(12, heads=3, window=4, shift=shift).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(2, height, width, 12, dtype=torch.float64)
    state = {f"attn.{key}": value for key, value in attention.state_dict().items()}
    expected = [plain_swin.attend(state, "attn", image, 3, 4, shift) for image in tokens]
    with torch.no_grad():
        torch.testing.assert_close(attention(tokens), torch.stack(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("frames", "height", "width"), [(8, 16, 24), (6, 15, 21), (1, 3, 5)])
@pytest.mark.parametrize("temporal_stride", [1, 2, 4])
def test_patches_are_a_3d_convolution_of_the_filled_up_clip(frames, height, width, temporal_stride):
    torch.manual_seed(0)
    embed = PatchEmbed(10, temporal_stride).double()
    video = torch.randn(2, 3, frames, height, width, dtype=torch.float64)
    filled = torch.cat([video, video[:, :, -1:].expand(-1, -1, -frames % temporal_stride, -1, -1)], dim=2)
    filled = F.pad(filled, (0, -width % 4, 0, -height % 4))
    patches = F.conv3d(filled, embed.proj.weight, embed.proj.bias, stride=(temporal_stride, 4, 4))
    expected = F.layer_norm(patches.permute(0, 2, 3, 4, 1).flatten(0, 1), (10,))
    torch.testing.assert_close(to_tokens(embed(video)), expected)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 6), (4, 7), (1, 1)])
def test_merging_puts_neighbours_side_by_side(height, width):
    torch.manual_seed(0)
    merging = PatchMerging(3).double()
    for parameter in merging.parameters():
        torch.nn.init.normal_(parameter)
    image = torch.randn(height, width, 3, dtype=torch.float64)
    state = {f"m.{key}": value for key, value in merging.state_dict().items()}
    with torch.no_grad():
        merged = to_tokens(merging(to_map(image[None])))[0]
    torch.testing.assert_close(merged, plain_swin.merge(state, "m", image))


def test_a_block_copies_no_map_to_another_layout():
    x = torch.randn(4, 8, 12, 12).to(memory_format=torch.channels_last)
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x, frames):
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return x

    y = SwinBlock(8, 2, 4, 2, 4.0, 0.0, Spy())(x, 2)
    assert seen == [True]
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_a_dropped_branch_is_dropped_in_all_frames_of_a_clip():
    torch.manual_seed(0)
    block = SwinBlock(8, 2, 4, 0, 4.0, drop_path=0.25, temporal=None).train()
    frames, clips = 5, 400
    factors = block._drop(torch.ones(clips * frames, 2, 2, 8), frames).unflatten(0, (clips, frames))
    assert torch.equal(factors, factors[:, :1, :1, :1, :1].expand_as(factors))
    kept = factors[:, 0, 0, 0, 0] > 0
    torch.testing.assert_close(factors[kept], torch.full_like(factors[kept], 1 / 0.75))
    assert 0.68 < kept.float().mean() < 0.82  # within three standard deviations of 0.75
    assert torch.equal(block.eval()._drop(factors, frames), factors)
