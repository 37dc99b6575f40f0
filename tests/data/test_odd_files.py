"""Files that are unusual and yet sound: they work, with the picture, size and times that a player would show."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import numpy as np
import pytest

from sifa_core.data import read_clip
from sifa_core.data.container import display_name, short_name
from sifa_core.errors import ClipError

RED, GREEN, BLUE, WHITE, GREY = (200, 40, 40), (40, 170, 60), (40, 60, 190), (235, 235, 235), (128, 128, 128)
# Weights of red and blue in luma.
BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)


def quadrants(width: int, height: int) -> np.ndarray:
    """Red top left, green top right, blue bottom left, white bottom right."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, WHITE
    return picture


def corners(frame: np.ndarray) -> list[tuple[int, ...]]:
    """Colours at the middle of the quadrants: top left, top right, bottom left, bottom right."""
    height, width = frame.shape[:2]
    rows, columns = (height // 4, height * 3 // 4), (width // 4, width * 3 // 4)
    return [tuple(int(v) for v in frame[y, x]) for y in rows for x in columns]


def assert_corners(frame: np.ndarray, expected: list[tuple[int, int, int]], within: int = 6) -> None:
    for found, wanted in zip(corners(frame), expected, strict=True):
        assert np.abs(np.array(found) - wanted).max() <= within, (found, wanted)


@pytest.mark.parametrize(
    ("matrix", "rotation", "expected"),
    [
        ((1, 0, 0, 1), 0, [RED, GREEN, BLUE, WHITE]),
        ((0, 1, -1, 0), 90, [BLUE, RED, WHITE, GREEN]),
        ((-1, 0, 0, -1), 180, [WHITE, BLUE, GREEN, RED]),
        ((0, -1, 1, 0), 270, [GREEN, WHITE, RED, BLUE]),
        ((-1, 0, 0, 1), 180, [GREEN, RED, WHITE, BLUE]),
        ((0, 1, 1, 0), 90, [RED, BLUE, GREEN, WHITE]),
    ],
)
def test_phone_video_is_shown_upright(videos, matrix, rotation, expected):
    """The display matrix maps stored (p, q) to (a p + c q, b p + d q); the last two cases are mirrored."""
    original = videos.write("stored.mp4", [quadrants(96, 64)] * 8)
    clip = read_clip(videos.with_matrix("turned.mp4", original, matrix))
    size = (64, 96) if rotation in (90, 270) else (96, 64)
    assert (clip.width, clip.height) == size
    assert (clip.source.width, clip.source.height) == size
    assert clip.source.rotation == rotation
    assert_corners(clip.frames[0], expected)


def test_rotated_video_is_reduced_by_its_short_side_as_shown(videos):
    original = videos.write("stored.mp4", [quadrants(192, 108)] * 4)
    clip = read_clip(videos.with_matrix("turned.mp4", original, (0, 1, -1, 0)), max_short_side=54)
    assert clip.frames.shape == (16, 96, 54, 3)
    assert (clip.source.width, clip.source.height) == (108, 192)
    assert_corners(clip.frames[0], [BLUE, RED, WHITE, GREEN])


def test_a_matrix_of_zeros_means_nothing(videos):
    original = videos.write("stored.mp4", [quadrants(96, 64)] * 4)
    clip = read_clip(videos.with_matrix("zero.mp4", original, (0, 0, 0, 0)))
    assert clip.source.rotation == 0
    assert_corners(clip.frames[0], [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(("aspect", "size"), [((4, 3), (128, 64)), ((1, 2), (96, 128)), ((32, 27), (114, 64))])
def test_pixels_that_are_not_square_are_made_square(videos, aspect, size):
    def setup(stream):
        stream.sample_aspect_ratio = Fraction(*aspect)

    clip = read_clip(videos.write("anamorphic.mkv", [quadrants(96, 64)] * 4, setup=setup))
    assert (clip.width, clip.height) == size
    assert (clip.source.width, clip.source.height) == size
    assert_corners(clip.frames[0], [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "within"),
    [
        ("ten_bit.mp4", "libx264", "yuv420p10le", 6),
        ("ten_bit.mkv", "libx265", "yuv420p10le", 6),
        ("prores.mov", "prores_ks", "yuv422p10le", 6),
        ("full_chroma.mp4", "libx264", "yuv444p", 6),
        ("half_chroma.mp4", "libx264", "yuv422p", 6),
        ("full_range.mp4", "libx264", "yuvj420p", 6),
        ("full_range.avi", "mjpeg", "yuvj422p", 8),
        ("av1.mp4", "libsvtav1", "yuv420p", 8),
        ("vp8.webm", "libvpx", "yuv420p", 8),
        ("lossless.mkv", "ffv1", "bgr0", 0),
        ("deep.mkv", "ffv1", "gbrp16le", 1),
        ("raw.avi", "rawvideo", "bgr24", 0),
        ("animation.mov", "qtrle", "rgb24", 0),
        ("windows.wmv", "wmv2", "yuv420p", 8),
        ("old.avi", "msmpeg4v2", "yuv420p", 8),
    ],
)
def test_pixel_formats_keep_their_colours(videos, name, codec, pixel_format, within):
    clip = read_clip(videos.write(name, [quadrants(96, 64)] * 4, codec=codec, pixel_format=pixel_format), 2)
    assert clip.frames.shape == (2, 64, 96, 3)
    assert_corners(clip.frames[0], [RED, GREEN, BLUE, WHITE], within)


def test_encoding_leaves_this_process_its_priority(videos):
    before = os.sched_getscheduler(0)
    videos.write("av1.mp4", 3, codec="libsvtav1")
    assert os.sched_getscheduler(0) == before


@pytest.mark.parametrize("pixel_format", ["gray", "gray10le", "gray16le"])
def test_grey_video(videos, pixel_format):
    clip = read_clip(videos.write("grey.mkv", 6, codec="ffv1", pixel_format=pixel_format), 6, start=0, stride=1)
    assert videos.numbers_of(clip.frames) == list(range(6))
    np.testing.assert_allclose(clip.frames[0, 50, 90], [90, 90, 90], atol=2)
    assert np.ptp(clip.frames.astype(int), axis=-1).max() == 0


def _tagged(videos, name: str, size: tuple[int, int], matrix: int, full_range: bool):
    """Lossless YUV with given numbers, so that only the reading of the tags decides the colour."""
    width, height = size
    path = videos.path(name)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 2 if full_range else 1
        for _ in range(3):
            planes = np.stack([np.full((height, width), value, np.uint8) for value in (81, 90, 190)])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("size", "matrix", "full_range", "weights"),
    [
        ((64, 64), 6, False, BT601),
        ((64, 64), 1, False, BT709),
        ((64, 64), 9, False, BT2020),
        ((64, 64), 6, True, BT601),
        ((64, 64), 1, True, BT709),
        ((64, 64), 2, False, BT601),
        ((720, 720), 2, False, BT709),
    ],
)
def test_colour_tags_are_obeyed(videos, size, matrix, full_range, weights):
    """Y'CbCr (81, 90, 190) to RGB by the standards' formula; a file without a tag (2) goes by its height."""
    clip = read_clip(_tagged(videos, "tagged.mkv", size, matrix, full_range), 2)
    kr, kb = weights
    luma = 81 / 255 if full_range else (81 - 16) / 219
    blue, red = ((v - 128) / (255 if full_range else 224) for v in (90, 190))
    r = luma + 2 * (1 - kr) * red
    b = luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    computed = np.clip(np.array([r, g, b]) * 255, 0, 255)
    np.testing.assert_allclose(clip.frames[0, 20, 20], computed, atol=3)


def test_transparent_pixels_are_shown_over_white(videos):
    picture = np.zeros((64, 96, 4), np.uint8)
    picture[:, :48] = (200, 40, 40, 255)
    picture[:32, 48:] = (0, 0, 0, 128)
    path = videos.write("clear.mov", [picture] * 3, codec="qtrle", pixel_format="argb", source_format="rgba")
    frame = read_clip(path, 2).frames[0]
    assert [tuple(frame[y, x]) for y, x in ((10, 10), (10, 70), (50, 70))] == [
        (200, 40, 40),
        (127, 127, 127),
        (255, 255, 255),
    ]


@pytest.mark.parametrize("size", [(97, 63), (33, 31), (17, 130), (3, 5), (1, 1)])
def test_odd_sizes(videos, size):
    picture = np.full((size[1], size[0], 3), GREY, np.uint8)
    clip = read_clip(videos.write("odd.mkv", [picture] * 5, codec="ffv1", pixel_format="bgr0"), 4)
    assert clip.frames.shape == (4, size[1], size[0], 3)
    assert (clip.frames == 128).all()


def test_odd_size_in_h264(videos):
    path = videos.write("odd.mp4", 6, size=(97, 63), pixel_format="yuv444p")
    clip = read_clip(path, 6, start=0, stride=1)
    assert clip.frames.shape == (6, 63, 97, 3)
    assert videos.numbers_of(clip.frames) == list(range(6))


def test_large_pictures_are_reduced(videos):
    path = videos.write("large.mp4", 3, size=(1920, 1080), options={"preset": "ultrafast"})
    clip = read_clip(path, 3, start=0, stride=1)
    assert clip.frames.shape == (3, 720, 1280, 3)
    assert (clip.source.width, clip.source.height) == (1920, 1080)
    assert videos.numbers_of(clip.frames) == [0, 1, 2]


def test_truncated_video_gives_what_is_there(videos):
    options = {"movflags": "faststart"}
    data = videos.write("whole.mp4", 60, container_options=options).read_bytes()
    path = videos.write_bytes("cut.mp4", data[: int(len(data) * 0.8)])
    clip = read_clip(path, 8, start=0, stride=1)
    assert videos.numbers_of(clip.frames) == list(range(8))
    assert 10 < clip.source.num_frames < 60
    assert len(clip.source.warnings) == 1
    assert f"{clip.source.num_frames} " in clip.source.warnings[0]


@pytest.mark.parametrize("name", ["cut.mkv", "cut.ts", "cut.avi", "cut.webm"])
def test_truncated_streams_give_what_is_there(videos, name):
    codec = {"cut.avi": "mpeg4", "cut.webm": "libvpx-vp9"}.get(name, "libx264")
    data = videos.write(f"whole_{name}", 60, codec=codec).read_bytes()
    clip = read_clip(videos.write_bytes(name, data[: int(len(data) * 0.7)]), 8, start=0, stride=1)
    assert videos.numbers_of(clip.frames) == list(range(8))
    assert 10 < clip.source.num_frames < 60


def test_damage_in_the_middle_is_told(videos):
    data = bytearray(videos.write("whole.ts", 60, options={"g": "10"}).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    clip = read_clip(videos.write_bytes("hurt.ts", bytes(data)), 6, start=0, stride=1)
    assert videos.numbers_of(clip.frames) == list(range(6))
    assert any("damaged" in sentence for sentence in clip.source.warnings)


def test_pictures_that_change_size(videos):
    first = videos.write("a.ts", 12, size=(96, 64)).read_bytes()
    second = videos.write("b.ts", 12, size=(160, 120)).read_bytes()
    clip = read_clip(videos.write_bytes("both.ts", first + second), 16, start=0, stride=1)
    assert clip.frames.shape == (16, 64, 96, 3)
    assert clip.source.num_frames == 24
    assert (np.diff(clip.timestamps) > 0).all()
    assert any("size changes" in sentence for sentence in clip.source.warnings)


def test_sound_beside_the_pictures_does_not_matter(videos):
    path = videos.path("talk.mp4")
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=16000, layout="mono")
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        for i in range(20):
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(videos.numbered(i), format="rgb24")))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, i * 640
            output.mux(sound.encode(frame))
        output.mux(sound.encode())
        output.mux(pictures.encode())
    clip = read_clip(path, 20, start=0, stride=1)
    assert videos.numbers_of(clip.frames) == list(range(20))


def test_moving_png(videos):
    path = videos.write("a.png", 6, codec="apng", pixel_format="rgb24", container="apng")
    assert videos.numbers_of(read_clip(path, 6, start=0, stride=1).frames) == list(range(6))


def test_two_frames_are_enough(videos):
    clip = read_clip(videos.write("two.mp4", 2), 4)
    assert clip.indices.tolist() == [0, 1, 1, 1]
    assert videos.numbers_of(clip.frames) == [0, 1, 1, 1]


@pytest.mark.parametrize("fps", [1, 5, 240])
def test_unusual_frame_rates(videos, fps):
    clip = read_clip(videos.write("rate.mp4", 40, fps=fps, options={"bf": "0"}), 16)
    span = clip.timestamps[-1] - clip.timestamps[0]
    assert clip.source.fps == pytest.approx(fps)
    assert clip.source.stride == (1 if fps < 10 else 2)
    assert span == pytest.approx(15 * clip.source.stride / fps, abs=1e-4)


def test_timestamps_start_at_the_first_frame(videos):
    times = [100.0 + i / 25 for i in range(20)]
    clip = read_clip(videos.write("late.mkv", 20, times=[t - 60 for t in times]), 4, start=2, stride=1)
    np.testing.assert_allclose(clip.timestamps, [0.08, 0.12, 0.16, 0.2], atol=1e-3)


NAMES = [
    "${7*7}.mp4",
    "<img src=x onerror=alert(1)>.mp4",
    'it\'s "quoted" & 100 %d.mp4',
    "; rm -rf ~ #.mp4",
    "-i -y out.mp4",
    "clip %03d [x] *?.mp4",
    "file:other.mp4",
    "😀 日本語.mp4",
    "שלום.mp4",
    "two\nlines.mp4",
    "turned\u202egpj.mp4",
    "n" * 240 + ".mp4",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_are_only_text(videos, name):
    sound = videos.write("plain.mp4", 6)
    path = sound.rename(videos.path(name))
    clip = read_clip(path, 4)
    assert clip.source.name == name.replace("\n", "\ufffd").replace("\u202e", "\ufffd")
    broken = videos.write_bytes(f"{name[:200]}.txt", b"no video")
    with pytest.raises(ClipError) as caught:
        read_clip(broken)
    message = str(caught.value)
    assert message.startswith(short_name(display_name(broken)))
    assert "\n" not in message
    assert str(videos.folder) not in message
    assert len(message) < 200


def test_an_undecodable_name_is_shown_with_marks():
    assert display_name("/tmp/caf\udce9.mp4") == "caf?.mp4"
    assert display_name("/tmp/folder/") == "folder"
    assert display_name("") == "(no name)"


def test_a_relative_name_that_looks_like_a_protocol_is_a_file(videos, monkeypatch):
    videos.write("plain.mp4", 6).rename(videos.path("concat:a.mp4"))
    monkeypatch.chdir(videos.folder)
    assert read_clip("concat:a.mp4", 4).source.num_frames == 6
