"""Decoding only a window gives the same frames, to the last pixel, as decoding everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifa_core.data import Limits, read_clip, read_frames, read_overview, read_video, reading, window
from sifa_core.data.container import open_file
from sifa_core.data.sampling import Window
from sifa_core.data.scan import pictures, scan_video
from sifa_core.errors import ClipError, ClipTooLargeError, ClipTooShortError
from tests.data import containers as make

OPEN = {"x264-params": "open-gop=1:keyint=20:bframes=3:b-pyramid=normal"}
UNEVEN = [0.0, *np.cumsum(np.random.default_rng(5).choice([0.02, 0.04, 0.1], 69)).tolist()]
QUICK = {
    "h264": make.plain("a.mp4", "libx264", 70, options={"bf": "3", "g": "15"}),
    "h264, one key picture": make.plain("b.mp4", "libx264", 70, options={"bf": "2", "g": "300"}),
    "h264, open groups, mkv": make.plain("c.mkv", "libx264", 70, options=OPEN),
    "h264, open groups, mp4": make.plain("d.mp4", "libx264", 70, options=OPEN),
    "h264, refreshed bit by bit": make.plain(
        "e.mkv", "libx264", 70, options={"x264-params": "intra-refresh=1:keyint=15"}
    ),
    "h264, no B-frames": make.plain("f.mov", "libx264", 70, options={"bf": "0", "g": "12"}),
    "h264, varying rate": make.plain("g.mp4", "libx264", 70, options={"bf": "3", "g": "15"}, times=UNEVEN),
    "h264, varying rate, mkv": make.plain("h.mkv", "libx264", 70, options={"bf": "3", "g": "15"}, times=UNEVEN),
    "h264, edit list": make.edited("i.mp4", [(17, 50)], count=70),
    "h264, ten bits": make.plain("j.mp4", "libx264", 40, pixel_format="yuv420p10le", options={"g": "9"}),
    "h264, cropped": make.cropped_matroska("k.mkv", (8, 6, 24, 10)),
    "hevc": make.plain("l.mp4", "libx265", 60, options={"x265-params": "log-level=none:keyint=20:open-gop=1"}),
    "hevc, closed groups": make.plain(
        "m.mkv", "libx265", 60, options={"x265-params": "log-level=none:keyint=14:open-gop=0"}
    ),
    "mpeg-4": make.plain("n.mp4", "mpeg4", 60, options={"bf": "2", "g": "12"}),
    "mpeg-2": make.plain("o.mkv", "mpeg2video", 60, options={"bf": "2", "g": "12"}),
    "vp9": make.plain("p.webm", "libvpx-vp9", 60, options={"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "vp8": make.plain("q.webm", "libvpx", 60, options={"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    "av1": make.plain("r.mp4", "libsvtav1", 60, options={"g": "20"}),
}
WHOLE = {
    "transport stream": make.plain("a.ts", "libx264", 40),
    "avi": make.plain("b.avi", "libx264", 40, options={"bf": "3"}),
    "two pieces": make.edited("c.mp4", [(4, 10), (30, 12)]),
    "interlaced": make.interlaced("d.mkv", "libx264", {"x264-params": "tff=1"}),
    "transparent": make.transparent("e.webm", "libvpx-vp9", (10, 120, 10)),
    "webp": make.animated_webp("f.webp", [40] * 12),
}


def everything(path, side):
    """Times and all frames by decoding from beginning to end."""
    with open_file(path, Limits()) as file:
        found = scan_video(file, Limits(), side, thumbnails=False)
        found.show = replace(found.show, in_one_step=True)
        return np.array(found.timestamps), pictures(file, Limits(), found, np.arange(len(found.timestamps)))


@pytest.mark.parametrize("case", [*QUICK, *WHOLE])
def test_any_window_is_what_decoding_everything_gives(videos, case, monkeypatch):
    path = (QUICK | WHOLE)[case](videos)
    times, frames = everything(path, 48)
    generator = np.random.default_rng(len(case))
    quick = []
    real = reading.read_window
    monkeypatch.setattr(reading, "read_window", lambda *args: quick.append(real(*args)) or quick[-1])
    for trial in range(25):
        start, stride = int(generator.integers(len(times))), int(generator.integers(1, 6))
        indices = np.minimum(start + stride * np.arange(8), len(times) - 1)
        if trial % 5 == 4:
            indices = generator.integers(0, len(times), 8)
        clip = read_frames(path, lambda given, indices=indices: Window(indices, 1), max_short_side=48)
        np.testing.assert_array_equal(clip.frames, frames[indices])
        np.testing.assert_array_equal(clip.timestamps, times[indices])
        assert clip.source.num_frames == len(times)
        assert clip.sha256 == ""
    taken = sum(answer is not None for answer in quick)
    if case in WHOLE:
        assert taken == 0
    elif case not in ("vp8", "h264, refreshed bit by bit"):
        assert taken == 25


def test_only_the_window_is_decoded(videos, monkeypatch):
    """Eight neighbours of 200 frames, from their group of 20: no other packet reaches the decoder."""
    path = videos.write("a.mp4", 200, options={"g": "20", "bf": "0"})
    count = []

    real = window._decode
    monkeypatch.setattr(window, "_decode", lambda context, packet: count.append(packet) or real(context, packet))
    clip = read_frames(path, lambda times: Window(np.arange(130, 138), 1))
    assert videos.numbers_of(clip.frames) == list(range(130, 138))
    assert len(count) <= 18 + 1


def test_the_sampler_is_asked_once_for_the_same_times(videos):
    """Also where a file has to be read twice, so that a run's random numbers do not depend on how it was read."""
    for maker in (QUICK["h264"], WHOLE["interlaced"]):
        asked = []
        read_frames(maker(videos), lambda times, asked=asked: asked.append(len(times)) or Window(np.arange(4), 1))
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(max_frames=69), "more frames than the limit of 69"),
        (Limits(max_seconds=1), "longer than the limit of 1 s"),
        (Limits(max_pixels=1000), "96 x 64 pixels, more than the limit of 1,000"),
        (Limits(max_clip_bytes=10_000), "8 frames of a.mp4 take"),
        (Limits(max_aspect_ratio=1.2), "times as long as wide"),
        (Limits(max_decode_seconds=1e-9), "takes longer than the limit"),
    ],
)
def test_limits_hold(videos, limits, text):
    with pytest.raises(ClipTooLargeError, match=text):
        read_frames(QUICK["h264"](videos), lambda times: Window(np.arange(8), 1), limits=limits)


def test_damage_is_no_reason_to_fail(videos):
    """Bytes set to noise between the first and the last group: whatever comes is a clip or a named error."""
    data = np.frombuffer(QUICK["h264"](videos).read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    shapes, failures = set(), []
    for _ in range(12):
        hurt = data.copy()
        places = generator.integers(len(data) // 10, len(data), 20)
        hurt[places] = generator.integers(0, 256, 20)
        path = videos.write_bytes("hurt.mp4", hurt.tobytes())
        try:
            clip = read_frames(path, lambda times: Window(np.minimum(np.arange(8) * 4, len(times) - 1), 1))
            shapes.add(clip.frames.shape)
        except ClipError as error:
            failures.append(str(error))
    assert shapes <= {(8, 64, 96, 3)}
    assert all(text.startswith("hurt.mp4") for text in failures)
    assert len(shapes) + len(failures) > 0


def test_one_step_gives_what_two_steps_give(videos):
    """Reduced while colours are converted, or after it: the same picture within little."""
    path = videos.write("a.mp4", 12, size=(320, 240))
    with open_file(path, Limits()) as file:
        found = scan_video(file, Limits(), 90, thumbnails=False)
        two = pictures(file, Limits(), found, np.arange(12)).astype(int)
        found.show = replace(found.show, in_one_step=True)
        one = pictures(file, Limits(), found, np.arange(12)).astype(int)
    assert one.shape == two.shape == (12, 90, 120, 3)
    assert np.abs(one - two).mean() < 0.5
    assert np.abs(one - two).max() <= 12


@pytest.mark.parametrize("case", ["h264, varying rate", "h264, edit list", "vp9", "two pieces", "interlaced"])
def test_a_clip_of_a_known_video_is_what_reading_all_of_it_gives(videos, case):
    path = (QUICK | WHOLE)[case](videos)
    first = read_clip(path, 6, max_short_side=40)
    for start, stride in ((3, 2), (0, 1), (first.source.num_frames - 5, 3)):
        options = {"start": start, "stride": stride, "max_short_side": 40}
        known, whole = (
            read_clip(path, 6, known_frames=first.source.num_frames, **options),
            read_clip(path, 6, **options),
        )
        np.testing.assert_array_equal(known.frames, whole.frames)
        np.testing.assert_array_equal(known.timestamps, whole.timestamps)
        np.testing.assert_array_equal(known.indices, whole.indices)
        assert known.source == replace(whole.source, duration=known.source.duration)
        assert known.source.duration == pytest.approx(whole.source.duration, abs=1e-3)


def test_a_clip_of_a_known_video_decodes_only_what_it_needs(videos, monkeypatch):
    path = videos.write("a.mp4", 60, options={"g": "10"})
    scans = []
    monkeypatch.setattr(reading, "scan_video", lambda *args, **options: scans.append(1) or scan_video(*args, **options))
    read_clip(path, 6, start=31, stride=1, known_frames=60)
    assert not scans
    other = read_clip(path, 6, start=31, stride=1, known_frames=59)  # then it is another video, or a damaged one
    assert scans
    assert videos.numbers_of(other.frames) == list(range(31, 37))
    with pytest.raises(ClipTooShortError, match="too few from frame 59 on"):
        read_clip(path, 6, start=59, stride=1, known_frames=60)


@pytest.mark.parametrize("case", ["h264", "interlaced"])
def test_an_overview_has_pictures_and_clips_from_the_first_to_the_last_frame(videos, case):
    path = (QUICK | WHOLE)[case](videos)
    video = read_video(path, 6, 3, max_short_side=40)
    count = video.clip.source.num_frames
    assert len(video.course.timestamps) == len(video.course.motion) == count
    thumbnails, windows = read_overview(path, 6, 5, 2, thumbnails=9, max_short_side=40, known_frames=count)
    assert thumbnails.indices[[0, -1]].tolist() == [0, count - 1]
    assert len(thumbnails.frames) == 9
    assert [int(each.indices[0]) for each in windows] == np.linspace(0, count - 11, 5).round().astype(int).tolist()
    for each in (thumbnails, *windows):
        for frame, index in zip(each.frames, each.indices, strict=True):
            alone = read_frames(path, lambda times, index=index: Window(np.array([index]), 1), max_short_side=40)
            # In one step or in two, a picture may differ by rounding.
            assert np.abs(alone.frames[0].astype(int) - frame).mean() < 2
        assert np.array_equal(each.timestamps, video.course.timestamps[each.indices])


def test_an_overview_of_a_short_video_has_fewer_of_everything(videos):
    path = videos.write("short.mp4", 5)
    thumbnails, windows = read_overview(path, 8, 5, 4, thumbnails=24, max_short_side=40)
    assert thumbnails.indices.tolist() == list(range(5))
    assert [each.indices.tolist() for each in windows] == [[0, 1, 2, 3, 4, 4, 4, 4]]
    with pytest.raises(ClipError, match="windows must be between 1 and 256, not 0"):
        read_overview(path, 8, 0)
