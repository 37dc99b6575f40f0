"""Pairs of neighbouring frames, against counting by hand."""

import pytest
import torch

from sifa_core.layers.frames import fold_clips, frame_pairs, inner_frames, neighbours, unfold_clips

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("end", "step", "expected"),
    [
        ("self", 1, [(0, 1), (1, 2), (2, 2), (3, 4), (4, 5), (5, 5)]),
        ("self", -1, [(0, 0), (1, 0), (2, 1), (3, 3), (4, 3), (5, 4)]),
        ("skip", 1, [(0, 1), (1, 2), (3, 4), (4, 5)]),
        ("skip", -1, [(1, 0), (2, 1), (4, 3), (5, 4)]),
    ],
)
def test_pairs_of_two_clips_of_three_frames(end, step, expected):
    rows, memory_rows = frame_pairs(6, 3, end, CPU, step)
    assert list(zip(rows.tolist(), memory_rows.tolist(), strict=True)) == expected


@pytest.mark.parametrize("step", [1, -1])
def test_a_single_frame_has_itself_or_nobody(step):
    assert [rows.tolist() for rows in frame_pairs(2, 1, "self", CPU, step)] == [[0, 1], [0, 1]]
    assert [rows.tolist() for rows in frame_pairs(2, 1, "skip", CPU, step)] == [[], []]


def test_neighbours_and_where_they_exist(clips):
    x = clips()
    assert torch.equal(neighbours(x, 3, 1), x[[1, 2, 2, 4, 5, 5]])
    assert torch.equal(neighbours(x, 3, -1), x[[0, 0, 1, 3, 3, 4]])
    assert inner_frames(x, 3, 1).flatten().tolist() == [1, 1, 0, 1, 1, 0]
    assert inner_frames(x, 3, -1).flatten().tolist() == [0, 1, 1, 0, 1, 1]


def test_unfolding_is_a_view_and_folding_undoes_it(clips):
    x = clips()
    clip = unfold_clips(x, 3)
    assert clip.data_ptr() == x.data_ptr()
    assert clip.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(clip[1, :, 2], x[5])
    assert torch.equal(fold_clips(clip), x)
