"""Samplers are pure, seedable and exact; "auto" makes motion visible and finds where it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sifa_core.data.sampling import (
    AutoStride,
    auto_window,
    fitting_stride,
    frame_interval,
    is_variable,
    random_segments,
    random_window,
    uniform_clips,
    window_indices,
)


def regular(count: int, fps: float = 30.0) -> np.ndarray:
    return np.arange(count) / fps


def motion_of(count: int, per_frame: float) -> np.ndarray:
    return np.concatenate([[0.0], np.full(count - 1, per_frame)])


@st.composite
def timelines(draw):
    count = draw(st.integers(2, 120))
    intervals = draw(st.lists(st.floats(0.001, 0.4), min_size=count - 1, max_size=count - 1))
    if draw(st.booleans()):
        intervals = [intervals[0]] * (count - 1)
    return np.concatenate([[0.0], np.cumsum(intervals)])


@settings(deadline=None, max_examples=150)
@given(
    timelines(),
    st.integers(1, 40),
    st.one_of(st.just("auto"), st.integers(1, 300)),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_timeline_gives_a_valid_window(timestamps, num_frames, stride, fixed_start, random):
    count = len(timestamps)
    motion = np.array([random.choice([0.0, 0.01, 0.2, float("nan")]) for _ in range(count)])
    start = random.randrange(count) if fixed_start else None
    given_times, given_motion = timestamps.copy(), motion.copy()
    window = auto_window(timestamps, motion, num_frames, start=start, stride=stride)
    assert window.indices.shape == (num_frames,)
    assert window.indices.dtype == np.int64
    assert window.indices.min() >= 0
    assert window.indices.max() < count
    assert (np.diff(window.indices) >= 0).all()
    assert window.stride >= 1
    if start is not None:
        assert window.indices[0] == start
    if stride != "auto":
        assert window.stride <= stride
    again = auto_window(timestamps, motion, num_frames, start=start, stride=stride)
    np.testing.assert_array_equal(window.indices, again.indices)
    np.testing.assert_array_equal(timestamps, given_times)
    np.testing.assert_array_equal(motion, given_motion)


@settings(deadline=None, max_examples=100)
@given(timelines(), st.integers(1, 20), st.integers(1, 50), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_training_and_evaluation_samplers_stay_inside(timestamps, num_frames, stride, num_clips, seed):
    count = len(timestamps)
    clips = uniform_clips(timestamps, num_frames, stride, num_clips)
    assert clips.shape == (num_clips, num_frames)
    drawn = random_window(timestamps, num_frames, stride, np.random.default_rng(seed))
    same = random_window(timestamps, num_frames, stride, np.random.default_rng(seed))
    np.testing.assert_array_equal(drawn, same)
    for indices in (*clips, drawn):
        assert indices.min() >= 0
        assert indices.max() < count
        assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize(
    ("per_frame", "fps", "expected"),
    [
        (0.02, 30, 1),
        (0.01, 30, 2),
        (0.0066, 30, 3),
        (0.004, 30, 5),
        (0.0001, 30, 5),
        (0.0, 30, 5),
        (0.2, 30, 1),
        (0.02, 60, 2),
        (0.001, 240, 20),
        (0.1, 5, 1),
    ],
)
def test_auto_stride_brings_movement_to_what_can_be_seen(per_frame, fps, expected):
    """0.02 of the short side per step, within half a second to two and a half for 16 frames."""
    count = 20 * fps
    window = auto_window(regular(count, fps), motion_of(count, per_frame), 16)
    assert window.stride == expected


@pytest.mark.parametrize("fps", [10, 15, 24, 25, 29.97, 30, 50, 60, 120, 240])
@pytest.mark.parametrize("per_frame", [0.0, 0.003, 0.02, 0.25])
def test_auto_span_is_bounded(fps, per_frame):
    timestamps = regular(int(12 * fps), fps)
    window = auto_window(timestamps, motion_of(len(timestamps), per_frame * 30 / fps), 16)
    span = timestamps[window.indices[-1]] - timestamps[window.indices[0]]
    assert 0.35 <= span <= 2.51
    # The step that feature frames see (four input frames apart) stays below a quarter of the frame, unless even the
    # shortest window moves more.
    if per_frame <= 0.02:
        assert 4 * window.stride * per_frame * 30 / fps <= 0.25


def test_wanted_movement_can_be_set():
    timestamps, motion = regular(300), motion_of(300, 0.01)
    assert auto_window(timestamps, motion, 16, wanted=AutoStride(step=0.04)).stride == 4
    assert auto_window(timestamps, motion, 16, wanted=AutoStride(step=0.5, max_span=5.0)).stride == 10


def test_auto_finds_the_window_that_moves_most():
    motion = np.full(300, 0.001)
    motion[200:217] = 0.05
    window = auto_window(regular(300), motion, 16)
    assert window.stride == 1
    assert window.indices[0] in (199, 200, 201)
    assert auto_window(regular(300), motion, 16, start=10).indices[0] == 10


def test_auto_keeps_clear_of_cuts():
    motion = motion_of(300, 0.02)
    motion[100:130] = 0.03
    motion[115] = np.nan
    indices = auto_window(regular(300), motion, 16).indices
    assert not indices[0] < 115 <= indices[-1]


def test_a_moving_window_with_a_cut_beats_a_still_one():
    motion = np.zeros(100)
    motion[40:60] = 0.05
    motion[[41, 44, 47, 50, 53, 56]] = np.nan
    indices = auto_window(regular(100), motion, 16).indices
    assert indices[0] < 60
    assert indices[-1] > 40


def test_still_video_gets_the_middle():
    window = auto_window(regular(300), np.zeros(300), 16)
    assert window.indices[0] + window.indices[-1] == pytest.approx(299, abs=2)


def test_variable_rate_goes_by_time():
    timestamps = np.array([0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.9, 1.0])
    assert is_variable(timestamps)
    assert frame_interval(timestamps) == pytest.approx(0.1)
    assert window_indices(timestamps, 0, 1, 7).tolist() == [0, 1, 2, 3, 5, 7, 7]
    assert window_indices(timestamps, 0, 2, 5).tolist() == [0, 2, 5, 7, 8]


def test_one_lost_frame_does_not_shift_the_others():
    timestamps = np.delete(regular(60, 25), 31)
    assert is_variable(timestamps)
    assert window_indices(timestamps, 5, 2, 8).tolist() == list(range(5, 21, 2))
    assert window_indices(timestamps, 40, 1, 8).tolist() == list(range(40, 48))


@pytest.mark.parametrize("fps", [23.976, 25, 29.97, 30, 59.94, 60, 120])
def test_rounded_time_stamps_are_still_constant_rate(fps):
    timestamps = np.round(regular(500, fps), 3)
    assert not is_variable(timestamps)
    assert window_indices(timestamps, 17, 3, 100).tolist() == list(range(17, 317, 3))


def test_stride_shrinks_only_as_far_as_needed():
    assert [fitting_stride(regular(31), 0, s, 16) for s in (1, 2, 3, 9)] == [1, 2, 2, 2]
    assert fitting_stride(regular(31), 16, 9, 16) == 1
    assert fitting_stride(regular(5), 0, 9, 16) == 1
    assert fitting_stride(regular(5), 0, 9, 1) == 9


def test_uniform_clips_cover_the_video():
    clips = uniform_clips(regular(101), 11, 2, 5)
    assert clips[:, 0].tolist() == [0, 20, 40, 60, 80]
    assert clips[-1, -1] == 100
    assert uniform_clips(regular(101), 11, 2, 1)[0].tolist() == list(range(40, 61, 2))


def test_random_windows_reach_every_start():
    generator = np.random.default_rng(0)
    starts = {int(random_window(regular(20), 4, 5, generator)[0]) for _ in range(200)}
    assert starts == {0, 1, 2, 3, 4}


def test_segments():
    assert random_segments(8, 4).tolist() == [1, 3, 5, 7]
    assert random_segments(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
    generator = np.random.default_rng(1)
    drawn = np.stack([random_segments(40, 8, generator) for _ in range(300)])
    assert (drawn // 5 == np.arange(8)).all()
    assert len(np.unique(drawn)) == 40


@pytest.mark.parametrize(
    "call",
    [
        lambda: auto_window(regular(5), np.zeros(4), 2),
        lambda: auto_window(regular(5), np.zeros(5), 0),
        lambda: auto_window(regular(5), np.zeros(5), 2, start=5),
        lambda: auto_window(np.zeros(0), np.zeros(0), 2),
        lambda: uniform_clips(regular(5), 2, 1, 0),
        lambda: random_segments(0, 4),
    ],
)
def test_senseless_arguments(call):
    with pytest.raises(ValueError, match=r"must be|need"):
        call()
