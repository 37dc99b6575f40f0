"""The frames that `read_clip` returns are the ones it says: every picture carries its own number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sifa_core.data import read_clip, read_frames, scan
from sifa_core.data.sampling import Window

B_FRAMES = {"bf": "3", "g": "12", "preset": "veryfast"}


def _uneven_times(count: int) -> list[float]:
    intervals = np.random.default_rng(5).choice([0.02, 0.04, 0.1], count - 1)
    return [0.0, *np.cumsum(intervals).tolist()]


@pytest.mark.parametrize("start", [0, 1, 7, 30])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_start_and_stride_are_source_frames(videos, start, stride):
    path = videos.write("walk.mp4", 80, options=B_FRAMES)
    clip = read_clip(path, 16, start=start, stride=stride)
    expected = [start + stride * i for i in range(16)]
    assert clip.indices.tolist() == expected
    assert videos.numbers_of(clip.frames) == expected
    np.testing.assert_allclose(clip.timestamps, np.array(expected) / 25, atol=1e-6)
    assert clip.source.stride == stride
    assert clip.source.num_frames == 80
    assert clip.source.warnings == ()


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "mpeg4", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("b.avi", "mpeg4", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),
    ],
)
def test_every_container_gives_every_frame(videos, name, codec, pixel_format):
    path = videos.write(name, 30, codec=codec, pixel_format=pixel_format)
    clip = read_clip(path, 30, start=0, stride=1)
    assert clip.source.num_frames == 30
    assert videos.numbers_of(clip.frames) == list(range(30))
    # GIF counts in hundredths of a second; the others are exact to their own rounding.
    np.testing.assert_allclose(clip.timestamps, np.arange(30) / 25, atol=0.0015)
    assert clip.source.fps == pytest.approx(25, rel=0.01)
    assert clip.source.duration == pytest.approx(1.2, rel=0.02)
    assert not clip.source.variable_frame_rate


def test_variable_rate_is_sampled_by_time(videos):
    times = _uneven_times(60)
    path = videos.write("uneven.mkv", 60, times=times, options=B_FRAMES)
    clip = read_clip(path, 10, start=3, stride=4)
    moments = times[3] + 4 * np.median(np.diff(times)) * np.arange(10)
    expected = [int(np.argmin(np.abs(np.array(times) - moment))) for moment in moments]
    assert clip.source.variable_frame_rate
    assert clip.indices.tolist() == expected
    assert videos.numbers_of(clip.frames) == expected
    np.testing.assert_allclose(clip.timestamps, np.array(times)[expected], atol=1e-6)
    assert clip.source.fps == pytest.approx(59 / times[-1], rel=1e-3)
    assert expected != list(range(3, 43, 4))


def test_variable_rate_in_mp4(videos):
    times = _uneven_times(40)
    path = videos.write("uneven.mp4", 40, times=times)
    clip = read_clip(path, 8, start=0, stride=2)
    assert clip.source.variable_frame_rate
    assert videos.numbers_of(clip.frames) == clip.indices.tolist()
    np.testing.assert_allclose(clip.timestamps, np.array(times)[clip.indices], atol=1e-6)


def test_a_video_too_large_to_keep_gives_the_same_frames(videos, monkeypatch):
    path = videos.write("walk.mp4", 60, options=B_FRAMES)
    whole = read_clip(path, 12, start=11, stride=3)
    monkeypatch.setattr(scan, "_FRAME_BYTES", 50_000)
    again = read_clip(path, 12, start=11, stride=3)
    assert videos.numbers_of(again.frames) == [11 + 3 * i for i in range(12)]
    np.testing.assert_array_equal(again.frames, whole.frames)


@pytest.mark.parametrize("name", ["walk.mp4", "walk.mkv", "walk.ts", "walk.avi"])
@pytest.mark.parametrize("start", [0, 13, 47])
def test_the_second_pass_is_exact_in_every_container(videos, monkeypatch, name, start):
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = videos.write(name, 70, codec=codec, options={"g": "10"})
    monkeypatch.setattr(scan, "_FRAME_BYTES", 50_000)
    clip = read_clip(path, 6, start=start, stride=3)
    assert videos.numbers_of(clip.frames) == [start + 3 * i for i in range(6)]


def test_a_stride_that_does_not_fit_is_reduced_and_told(videos):
    path = videos.write("short.mp4", 31)
    clip = read_clip(path, 16, start=0, stride=5)
    assert clip.indices.tolist() == list(range(0, 32, 2))
    assert clip.source.stride == 2
    assert clip.source.warnings == ("The stride was reduced from 5 to 2 because the video is short.",)


def test_the_last_frame_is_repeated_where_frames_are_missing(videos):
    path = videos.write("short.mp4", 5)
    clip = read_clip(path, 8)
    assert clip.indices.tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert videos.numbers_of(clip.frames) == clip.indices.tolist()
    assert clip.source.warnings == ("The video is short: its last frame is repeated 3 times.",)


def test_auto_takes_the_window_that_moves(videos):
    texture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (64, 200, 3), np.uint8), (0, 0), 2)
    moving = [texture[:, 2 * i : 2 * i + 96] for i in range(25)]
    path = videos.write("late.mp4", [moving[0]] * 60 + moving + [moving[-1]] * 40)
    clip = read_clip(path)
    assert clip.source.stride == 1
    # The picture moves in the frames 61 to 84; a clip of 16 has to lie among them.
    assert clip.indices[0] >= 60
    assert clip.indices[-1] <= 84


def test_read_frames_hands_the_timestamps_to_the_sampler(videos):
    path = videos.write("walk.mp4", 20)
    seen = []

    def choose(timestamps):
        seen.append(timestamps)
        return Window(np.array([19, 0, 0, 7]), 1)

    clip = read_frames(path, choose)
    np.testing.assert_allclose(seen[0], np.arange(20) / 25, atol=1e-6)
    assert videos.numbers_of(clip.frames) == [19, 0, 0, 7]


def test_one_frame_may_be_asked_for(videos):
    clip = read_clip(videos.write("walk.mp4", 20), 1, start=6)
    assert clip.frames.shape == (1, 64, 96, 3)
    assert videos.numbers_of(clip.frames) == [6]
