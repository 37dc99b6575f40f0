"""`Clip`: validation, controls and facts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sifa_core.data import Clip, read_clip, read_views
from sifa_core.errors import ClipError, ClipTooShortError
from sifa_core.paths import EXAMPLE_CLIPS


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 10, 12, 3), np.uint8)


def test_from_array(frames):
    clip = Clip.from_array(frames, fps=20.0, name="made")
    assert (clip.num_frames, clip.height, clip.width) == (6, 10, 12)
    np.testing.assert_array_equal(clip.frames, frames)
    np.testing.assert_allclose(clip.timestamps, [0, 0.05, 0.1, 0.15, 0.2, 0.25])
    assert clip.indices.tolist() == [0, 1, 2, 3, 4, 5]
    assert clip.sha256 == hashlib.sha256(frames.tobytes()).hexdigest()
    assert (clip.source.name, clip.source.fps, clip.source.duration) == ("made", 20.0, pytest.approx(0.3))
    assert (clip.source.width, clip.source.height, clip.source.num_frames) == (12, 10, 6)


def test_file_facts(videos):
    path = videos.write("walk.mp4", 30)
    clip = read_clip(path)
    assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    source = clip.source
    assert (source.name, source.codec, source.rotation, source.num_frames) == ("walk.mp4", "h264", 0, 30)
    assert source.fps == pytest.approx(25)
    assert source.duration == pytest.approx(1.2)


def test_arrays_cannot_be_changed_by_accident(frames):
    clip = Clip.from_array(frames)
    for array in (clip.frames, clip.timestamps, clip.indices):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    frames[0] = 0
    with pytest.raises(AttributeError):
        clip.frames = frames


def test_controls(frames):
    clip = Clip.from_array(frames, name="walk.mp4")
    backwards, frozen, shuffled = clip.reversed(), clip.frozen(frame=2), clip.shuffled(seed=3)
    np.testing.assert_array_equal(backwards.frames, frames[::-1])
    assert backwards.indices.tolist() == [5, 4, 3, 2, 1, 0]
    assert (frozen.frames == frames[2]).all()
    assert frozen.indices.tolist() == [2] * 6
    assert sorted(shuffled.indices.tolist()) == [0, 1, 2, 3, 4, 5]
    assert shuffled.indices.tolist() != [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(shuffled.frames, frames[shuffled.indices])
    assert clip.shuffled(seed=3).indices.tolist() == shuffled.indices.tolist()
    assert [c.source.name for c in (backwards, frozen, shuffled)] == [
        "walk.mp4 (reversed)",
        "walk.mp4 (frozen)",
        "walk.mp4 (shuffled)",
    ]
    for control in (backwards, frozen, shuffled):
        np.testing.assert_array_equal(control.timestamps, clip.timestamps)
        assert control.sha256 != clip.sha256
    assert len({c.sha256 for c in (clip, backwards, frozen, shuffled)}) == 4


def test_held_frames_show_the_middle_of_their_run(frames):
    clip = Clip.from_array(frames)
    assert clip.held(4).indices.tolist() == [2, 2, 2, 2, 5, 5]
    assert clip.held(1).indices.tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ClipError, match="not for 0"):
        clip.held(0)


def test_frozen_takes_the_middle_by_default(frames):
    assert Clip.from_array(frames).frozen().indices.tolist() == [3] * 6


def test_shuffling_two_frames_swaps_them(frames):
    clip = Clip.from_array(frames[:2])
    assert {tuple(clip.shuffled(seed).indices.tolist()) for seed in range(20)} == {(1, 0)}


@pytest.mark.parametrize("frame", [-1, 6])
def test_frozen_frame_must_exist(frames, frame):
    with pytest.raises(ClipError, match="has frames 0 to 5"):
        Clip.from_array(frames).frozen(frame)


@pytest.mark.parametrize(
    ("array", "error", "text"),
    [
        (np.zeros((4, 8, 8), np.uint8), ClipError, "shape"),
        (np.zeros((4, 8, 8, 4), np.uint8), ClipError, "shape"),
        (np.zeros((4, 3, 8, 8), np.uint8), ClipError, "shape"),
        (np.zeros((4, 0, 8, 3), np.uint8), ClipError, "shape"),
        (np.zeros((), np.uint8), ClipError, "shape"),
        (np.zeros((4, 8, 8, 3), np.float32), ClipError, "must be uint8, not float32"),
        (np.zeros((1, 8, 8, 3), np.uint8), ClipTooShortError, "at least 2"),
        (np.zeros((0, 8, 8, 3), np.uint8), ClipTooShortError, "at least 2"),
    ],
)
def test_wrong_arrays(array, error, text):
    with pytest.raises(error, match=text):
        Clip.from_array(array)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_wrong_frame_rate(frames, fps):
    with pytest.raises(ClipError, match="fps must be a positive number"):
        Clip.from_array(frames, fps=fps)


def test_times_and_indices_must_fit(frames):
    source = Clip.from_array(frames).source
    with pytest.raises(ClipError, match="6 frames needs as many timestamps"):
        Clip(frames, np.zeros(5), np.zeros(6, np.int64), source)
    with pytest.raises(ClipError, match="6 frames needs as many indices"):
        Clip(frames, np.zeros(6), np.zeros(7, np.int64), source)


def test_a_video_is_read_once_for_its_clip_and_for_clips_spread_over_it():
    path = EXAMPLE_CLIPS / "cockatoo_moves_right.mp4"
    clip, spread = read_views(path, 8, 4, max_short_side=90, view_short_side=45)
    alone = read_clip(path, 8, max_short_side=90)
    np.testing.assert_array_equal(clip.frames, alone.frames)
    assert clip.sha256 == alone.sha256
    assert len(spread) == 4
    assert spread[0].indices[0] == 0
    assert spread[-1].indices[-1] == clip.source.num_frames - 1
    for view in spread:
        assert view.frames.shape == (8, 45, 80, 3)
        own = read_clip(path, 8, start=int(view.indices[0]), stride=clip.source.stride, max_short_side=45)
        np.testing.assert_array_equal(view.frames, own.frames)
