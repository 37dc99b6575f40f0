"""Kinds of files that readers get wrong: the right track, clock, crop and colours, and a word on what is not kept.

A kind is a row: how it is made, which numbers its frames carry, and what else must be so. Numbers and times are stored
here; where FFmpeg's own program is installed, they and the colours are compared with what it shows, too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest

from sifa_core.data import Limits, read_clip
from sifa_core.data.cropping import NO_CROP, Crop, container_crop
from sifa_core.data.timing import Timeline
from sifa_core.errors import BrokenVideoError, ClipTooLargeError
from tests.data import containers as make
from tests.data.containers import B_FRAMES, DEFAULT, numbered

MIRRORED = [picture[:, ::-1] for picture in numbered(range(24), 48, 32)]


@dataclass(frozen=True)
class Kind:
    """One kind of file and what is right."""

    make: make.Maker
    numbers: list[int]
    size: tuple[int, int] = (96, 64)
    warning: str = ""
    """Part of the one warning; empty for none."""
    times: list[float] | None = None
    """Seconds; None for 25 a second."""
    part: float = 1.0
    """Fraction of the width, from the left, that carries the number."""
    skip: int = 0
    """Frames at the beginning whose number is not looked at."""
    filters: str = ""
    """What FFmpeg's program must be told to show the same; "-" where it cannot."""


def run(first: int, count: int) -> list[int]:
    return list(range(first, first + count))


KINDS = {
    # The track that players show
    "default track second, mp4": Kind(make.tracks("a.mp4", (MIRRORED, 0), (numbered(range(24)), DEFAULT)), run(0, 24)),
    "default track second, mkv": Kind(make.tracks("a.mkv", (MIRRORED, 0), (numbered(range(24)), DEFAULT)), run(0, 24)),
    "default track second, mov": Kind(make.tracks("a.mov", (MIRRORED, 0), (numbered(range(9)), DEFAULT)), run(0, 9)),
    "two default tracks": Kind(make.tracks("b.mkv", (numbered(range(24)), DEFAULT), (MIRRORED, DEFAULT)), run(0, 24)),
    "no default track": Kind(make.tracks("c.mp4", (numbered(range(24)), 0), (MIRRORED, 0)), run(0, 24)),
    "still track first": Kind(
        make.tracks("d.mp4", (numbered([99]), DEFAULT), (numbered(range(24)), DEFAULT)), run(0, 24), filters="-"
    ),
    # AVIF sequences begin with a still picture
    "avif sequence": Kind(make.plain("a.avif", "libsvtav1", 9), run(0, 9), filters="-"),
    "avif sequence, ten bits": Kind(
        make.plain("b.avif", "libsvtav1", 7, pixel_format="yuv420p10le"), run(0, 7), filters="-"
    ),
    "avif sequence of two": Kind(make.plain("c.avif", "libsvtav1", 2), run(0, 2), filters="-"),
    # No presentation times
    "avi with B-frames": Kind(make.plain("a.avi", "libx264", 60, options=B_FRAMES), run(0, 60)),
    "avi with B-pyramid": Kind(
        make.plain("b.avi", "libx264", 60, options={"bf": "7", "b-pyramid": "normal", "refs": "4"}), run(0, 60)
    ),
    "avi, mpeg-4 with B-frames": Kind(make.plain("c.avi", "mpeg4", 60, options={"bf": "2"}), run(0, 60)),
    "asf with B-frames": Kind(make.plain("a.asf", "libx264", 60, options=B_FRAMES), run(0, 60)),
    "wmv with mpeg-4": Kind(make.plain("a.wmv", "mpeg4", 60, options={"bf": "2"}), run(0, 60)),
    "asf of 30 a second": Kind(
        make.plain("b.asf", "libx264", 45, options=B_FRAMES, fps=30), run(0, 45), times=[i / 30 for i in range(45)]
    ),
    "packed mpeg-4": Kind(make.packed("p.avi", 24), run(0, 24)),
    "packed mpeg-4, odd": Kind(make.packed("q.avi", 17), run(0, 17)),
    "raw stream with B-frames": Kind(make.plain("a.h264", "libx264", 40, options=B_FRAMES), run(0, 40)),
    # Cropping by the container
    "matroska crop, top and bottom": Kind(
        make.cropped_matroska("a.mkv", (0, 40, 0, 24)), run(0, 24), filters="crop=96:64:0:40"
    ),
    "matroska crop, all sides": Kind(
        make.cropped_matroska("b.mkv", (8, 6, 24, 10)), run(0, 24), filters="crop=96:64:8:6"
    ),
    "webm crop, odd": Kind(
        make.cropped_matroska("c.webm", (7, 5, 9, 3), codec="libvpx-vp9"), run(0, 24), filters="crop=96:64:7:5:exact=1"
    ),
    "matroska crop, shown wider": Kind(
        make.cropped_matroska("d.mkv", (16, 0, 16, 0), (192, 64)), run(0, 24), (192, 64), filters="-"
    ),
    "clean aperture, mp4": Kind(make.clean_aperture("a.mp4", (16, 8, 0, 24)), run(0, 24), filters="crop=96:64:16:8"),
    "clean aperture, mov": Kind(make.clean_aperture("b.mov", (0, 8, 32, 8)), run(0, 24), filters="crop=96:64:0:8"),
    # Edit lists
    "edit list": Kind(make.edited("a.mp4", [(17, 30)]), run(17, 30)),
    "edit list from a key picture": Kind(make.edited("b.mp4", [(24, 36)]), run(24, 36)),
    "edit list after a pause": Kind(make.edited("c.mov", [(-1, 20), (8, 20)]), run(8, 20)),
    "edit list in two pieces": Kind(
        make.edited("d.mp4", [(4, 10), (36, 12)], options={"bf": "0", "g": "12"}), run(4, 10) + run(36, 12)
    ),
    # Clocks that are set anew
    "clock jumps ahead": Kind(
        make.joined("a.ts", 0, 5000), run(0, 24), warning="clock jumps ahead by 5,000 s", filters="-"
    ),
    "clock jumps back": Kind(make.joined("b.ts", 300, 0), run(0, 24), warning="clock jumps back by 300 s", filters="-"),
    "clock jumps, program stream": Kind(
        make.joined("c.mpg", 0, 700, codec="mpeg2video"), run(0, 24), warning="clock jumps ahead by 69", filters="-"
    ),
    # Interlaced
    "interlaced h264": Kind(
        make.interlaced("a.mts", "libx264", {"x264-params": "tff=1"}),
        run(0, 48)[::2],
        (192, 128),
        "interlaced",
        skip=1,
        filters="bwdif=send_frame",
    ),
    "interlaced h264, bottom first": Kind(
        make.interlaced("b.mkv", "libx264", {"x264-params": "bff=1"}, top_first=False),
        run(0, 48)[::2],
        (192, 128),
        "interlaced",
        skip=1,
        filters="bwdif=send_frame",
    ),
    "interlaced mpeg-2": Kind(
        make.interlaced("c.mpg", "mpeg2video", {"flags": "+ildct+ilme", "b": "4M"}),
        run(0, 48)[::2],
        (192, 128),
        "interlaced",
        skip=1,
        filters="bwdif=send_frame",
    ),
    # Animated WebP
    "webp": Kind(make.animated_webp("a.webp", [40] * 10), run(0, 10), filters="-"),
    "webp of varying rate": Kind(
        make.animated_webp("b.webp", [40, 80, 40, 120, 40]), run(0, 5), times=[0, 0.04, 0.12, 0.16, 0.28], filters="-"
    ),
    "webp, lossy": Kind(make.animated_webp("c.webp", [40] * 6, lossless=False), run(0, 6), filters="-"),
    # Transparency of VP8 and VP9
    "clear vp9": Kind(
        make.transparent("a.webm", "libvpx-vp9", (10, 120, 10)), run(0, 12), (192, 64), part=0.5, filters="-"
    ),
    "clear vp8": Kind(
        make.transparent("b.webm", "libvpx", (200, 10, 10)), run(0, 12), (192, 64), part=0.5, filters="-"
    ),
    "half clear vp9": Kind(
        make.transparent("c.webm", "libvpx-vp9", (0, 0, 0), 128), run(0, 12), (192, 64), part=0.5, filters="-"
    ),
    "clear vp9 in mkv": Kind(
        make.transparent("d.mkv", "libvpx-vp9", (0, 0, 90)), run(0, 12), (192, 64), part=0.5, filters="-"
    ),
}


def whole(path, **settings):
    """All frames of a file at a constant rate, each once."""
    clip = read_clip(path, 200, start=0, stride=1, **settings)
    warnings = [text for text in clip.source.warnings if not text.startswith("The video is short")]
    return clip, clip.source.num_frames, warnings


@pytest.mark.parametrize("name", KINDS)
def test_numbers_size_times_and_warnings(videos, name):
    kind = KINDS[name]
    clip, count, warnings = whole(kind.make(videos))
    assert (clip.source.width, clip.source.height) == kind.size
    assert count == len(kind.numbers)
    times = np.array(kind.times if kind.times is not None else [i / 25 for i in range(count)])
    constant = kind.times is None or len({round(step, 3) for step in np.diff(times)}) == 1
    assert clip.source.variable_frame_rate != constant
    if constant:
        part = clip.frames[:count, :, : round(kind.part * clip.width)]
        assert videos.numbers_of(part)[kind.skip :] == kind.numbers[kind.skip :]
        np.testing.assert_allclose(clip.timestamps[:count], times, atol=0.0015)
        assert clip.source.fps == pytest.approx((count - 1) / times[-1], rel=1e-3)
    else:
        np.testing.assert_allclose(np.unique(clip.timestamps), times, atol=0.0015)
        assert dict.fromkeys(videos.numbers_of(clip.frames), True) == dict.fromkeys(kind.numbers, True)
    assert len(warnings) == bool(kind.warning), warnings
    assert kind.warning in "".join(warnings)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="compares with the program ffmpeg, which is not installed")
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.filters != "-"])
def test_frames_times_and_colours_are_those_of_ffmpeg(videos, name):
    kind = KINDS[name]
    path = kind.make(videos)
    clip, count, _ = whole(path)
    with_filters = ["-vf", kind.filters] if kind.filters else []
    command = ["ffmpeg", "-v", "error", "-i", str(path), *with_filters, "-fps_mode", "passthrough"]
    raw = subprocess.run(
        [*command, "-sws_flags", "accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    shown = np.frombuffer(raw, np.uint8).reshape(-1, kind.size[1], kind.size[0], 3)
    assert len(shown) == count
    differences = np.abs(shown[kind.skip :].astype(int) - clip.frames[kind.skip : count])
    assert np.percentile(differences, 95) <= 3, "colours differ, or frames"
    show = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=best_effort_timestamp_time"]
    listed = json.loads(
        subprocess.run([*show, "-of", "json", str(path)], check=True, capture_output=True).stdout
    )["frames"]  # fmt: skip
    stamps = [frame.get("best_effort_timestamp_time", "N/A") for frame in listed]
    if "N/A" not in stamps and len(stamps) == count:
        times = np.array([float(stamp) for stamp in stamps])
        np.testing.assert_allclose(clip.timestamps[:count], times - times[0], atol=0.0025)


@pytest.mark.parametrize("name", ["clear vp9", "clear vp8", "half clear vp9", "clear vp9 in mkv"])
def test_what_is_clear_is_white(videos, name):
    clip, _, _ = whole(KINDS[name].make(videos))
    expected = 127 if name.startswith("half") else 255
    np.testing.assert_allclose(clip.frames[5, 10:54, 110:180].reshape(-1, 3), expected, atol=4)
    assert clip.frames[5, 60, 80].tolist() == pytest.approx([90, 90, 90], abs=6)


def test_clear_webp_is_white(videos):
    clip, _, _ = whole(make.animated_webp("a.webp", [40] * 4, clear=True)(videos))
    assert (clip.frames[:, 58:, 84:] == 255).all()
    assert clip.source.codec == "webp"


def test_webp_that_cannot_be_read_is_refused_for_its_true_reason(videos):
    data = make.animated_webp("a.webp", [40] * 4)(videos).read_bytes()
    huge = bytearray(data)
    huge[24:30] = (16383).to_bytes(3, "little") * 2
    with pytest.raises(ClipTooLargeError, match="16384 x 16384 pixels, more than the limit of 9,437,184"):
        read_clip(videos.write_bytes("huge.webp", bytes(huge)))
    cut = videos.write_bytes("cut.webp", data[:200])
    with pytest.raises(BrokenVideoError, match=r"^cut\.webp is an animated WebP whose pictures cannot be decoded\.$"):
        read_clip(cut)
    with pytest.raises(ClipTooLargeError, match="more frames than the limit of 3"):
        read_clip(videos.write_bytes("many.webp", data), limits=Limits(max_frames=3))


def _luma(light: float, transfer: int) -> int:
    """Ten-bit limited-range luma of a grey of this light in cd/m2."""
    if transfer == 16:
        y = (light / 10000) ** (2610 / 16384)
        signal = ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)
    else:
        scene = (light / 1000) ** (1 / 1.2)
        signal = (3 * scene) ** 0.5 if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073
    return round(64 + 876 * signal)


@pytest.mark.parametrize(("name", "transfer"), [("a.mp4", 16), ("b.mkv", 16), ("c.mp4", 18), ("d.mkv", 18)])
@pytest.mark.parametrize("fraction", [0.02, 0.2, 0.6])
def test_light_below_diffuse_white_is_kept(videos, name, transfer, fraction):
    """Grey of a fraction of 203 cd/m2 is shown at that fraction of white by a screen of gamma 2.4."""
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9}
    path = make.colour(name, "libx265", (_luma(203 * fraction, transfer), 512, 512), tags, "yuv420p10le")(videos)
    clip = read_clip(path, 2)
    kind = "HDR (PQ)" if transfer == 16 else "HDR (HLG)"
    assert clip.source.dynamic_range == kind
    assert f"The video is {kind}; its colours were tone-mapped to an ordinary screen's." in clip.source.warnings
    np.testing.assert_allclose(clip.frames[0, 30, 40], 255 * fraction ** (1 / 2.4), atol=3)


@pytest.mark.parametrize("transfer", [16, 18])
def test_highlights_roll_off_and_stay_apart(videos, transfer):
    shown = []
    for light in (203, 400, 900):
        tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9}
        maker = make.colour("a.mkv", "libx265", (_luma(light, transfer), 512, 512), tags, "yuv420p10le")
        shown.append(int(read_clip(maker(videos), 2).frames[0, 30, 40, 1]))
    assert 235 <= shown[0] < shown[1] < shown[2] <= 255


def test_wide_gamut_without_high_dynamic_range(videos):
    """The red of BT.709 in BT.2020 is (0.627, 0.069, 0.016) in light; shown, it is red again. No warning."""
    red = np.array([0.6274, 0.0691, 0.0164]) ** (1 / 2.4)
    luma = float(red @ [0.2627, 0.6780, 0.0593])
    planes = (
        round(64 + 876 * luma),
        round(512 + 896 * (red[2] - luma) / 1.8814),
        round(512 + 896 * (red[0] - luma) / 1.4746),
    )
    tags = {"color_trc": 14, "color_primaries": 9, "colorspace": 9}
    clip, _, warnings = whole(make.colour("a.mp4", "libx265", planes, tags, "yuv420p10le")(videos))
    np.testing.assert_allclose(clip.frames[0, 30, 40], [255, 0, 0], atol=20)
    assert clip.source.dynamic_range == "SDR"
    assert warnings == []


def test_a_transfer_that_is_not_honoured_is_told(videos):
    tags = {"color_trc": 8, "color_primaries": 1, "colorspace": 1}
    _, _, warnings = whole(make.colour("a.mkv", "ffv1", (120, 128, 128), tags, "yuv420p")(videos))
    assert warnings == ["The brightness is stored as linear light, which is shown as if it were an ordinary video's."]


def test_a_progressive_video_is_left_alone(videos):
    clip, _, warnings = whole(make.interlaced("a.mkv", "ffv1", {})(videos))
    assert warnings == []
    assert clip.source.dynamic_range == "SDR"


def test_deinterlacing_does_not_depend_on_what_else_is_read(videos):
    path = KINDS["interlaced h264"].make(videos)
    every = read_clip(path, 24, start=0, stride=1)
    for start, stride in ((1, 1), (5, 3), (20, 1)):
        some = read_clip(path, 3, start=start, stride=stride)
        np.testing.assert_array_equal(some.frames, every.frames[some.indices])


@pytest.mark.parametrize(
    "data",
    [
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3" + b"\xff" * 40,
        bytes(4) + b"ftyp" + bytes(90),
        b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x03moov\x00",
    ],
)
def test_nonsense_in_headers_means_no_cropping(videos, data):
    with open(videos.write_bytes("a.bin", data), "rb") as handle:
        handle.seek(3)
        assert container_crop(handle, 0) == NO_CROP
        assert handle.tell() == 3


def test_damaged_headers_never_raise(videos):
    generator = np.random.default_rng(1)
    for maker in (make.cropped_matroska("a.mkv", (8, 6, 24, 10)), make.clean_aperture("a.mp4", (16, 8, 0, 24))):
        data = np.frombuffer(maker(videos).read_bytes(), np.uint8)
        for _ in range(150):
            hurt = data[-2500:].copy() if data[4:8].tobytes() == b"ftyp" else data[:1500].copy()
            places = generator.integers(0, len(hurt), 3)
            hurt[places] = generator.integers(0, 256, 3)
            start = b"" if data[4:8].tobytes() != b"ftyp" else data[:32].tobytes()
            with open(videos.write_bytes("hurt", start + hurt.tobytes()), "rb") as handle:
                assert isinstance(container_crop(handle, 0), Crop)


def test_a_crop_that_leaves_nothing_is_no_crop():
    assert not Crop(left=50, right=46).fits(96, 64)
    assert not Crop(top=-1).fits(96, 64)
    assert Crop(left=50, right=45).fits(96, 64)


def _times(stamps, may_jump=False):
    timeline = Timeline(0.04, may_jump)
    for shown, decoded in stamps:
        timeline.add(shown, decoded)
    return [round(seconds, 6) for seconds in timeline.seconds], timeline.jumps


def test_time_lines():
    """Stamps (of showing, of decoding) to seconds, by hand."""
    assert _times([(5.0, 4.9), (5.04, 4.94), (5.1, 4.98)])[0] == [0.0, 0.04, 0.1]
    made_up = [(0.04, 0.08), (0.12, 0.12), (0.16, 0.16), (0.08, 0.2), (0.24, None), (0.2, None)]
    assert _times(made_up)[0] == [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]
    assert _times([(None, None)] * 3)[0] == [0.0, 0.04, 0.08]
    assert _times([(0.0, None), (0.04, None), (0.02, None), (0.12, None)])[0] == [0.0, 0.04, 0.08, 0.12]
    ahead = [(0.0, 0.0), (0.04, 0.04), (50.0, 50.0), (50.04, 50.04)]
    assert _times(ahead, may_jump=True)[0] == [0.0, 0.04, 0.08, 0.12]
    assert _times(ahead)[0] == [0.0, 0.04, 50.0, 50.04]
    seconds, jumps = _times([(9.0, 9.0), (9.04, 9.04), (2.0, 2.0), (2.04, 2.04)])
    assert seconds == [0.0, 0.04, 0.08, 0.12]
    assert jumps == [pytest.approx(-7.04)]


def test_a_stream_without_a_decoder_is_passed_over(videos):
    """An unknown codec on the default track: the other one is read."""
    path = make.tracks("a.mkv", (numbered(range(9)), 0), (numbered(range(50, 59)), DEFAULT))(videos)
    data = path.read_bytes()
    last = data.rindex(b"V_MPEG4/ISO/AVC", 0, data.index(b"\x1f\x43\xb6\x75"))
    path = videos.write_bytes("b.mkv", data[:last] + b"V_MPEG4/ISO/XYZ" + data[last + 15 :])
    clip, count, _ = whole(path)
    assert videos.numbers_of(clip.frames[:count]) == list(range(9))


def _ffmpeg(path, size, *arguments: str) -> np.ndarray:
    """Frames that FFmpeg's program shows."""
    before, filters = arguments[:-1], ["-filter_complex", arguments[-1]]
    command = ["ffmpeg", "-v", "error", *before, "-i", str(path), *filters, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="compares with the program ffmpeg, which is not installed")
@pytest.mark.parametrize(("name", "decoder"), [("clear vp9", "libvpx-vp9"), ("clear vp8", "libvpx")])
def test_transparency_is_that_of_ffmpeg(videos, name, decoder):
    path = KINDS[name].make(videos)
    clip, count, _ = whole(path)
    over_white = "color=white:s=192x64:r=25[w];[w][0:v]overlay=shortest=1:format=rgb"
    shown = _ffmpeg(path, (192, 64), "-c:v", decoder, over_white)
    assert np.percentile(np.abs(shown[:count].astype(int) - clip.frames[:count]), 95) <= 4


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="compares with the program ffmpeg, which is not installed")
@pytest.mark.parametrize("transfer", [16, 18])
def test_colours_of_high_dynamic_range_are_those_of_ffmpeg(videos, transfer):
    """Colours that no screen is too dark or too narrow for, so that nothing has to be rolled off."""
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9}
    path = make.colour("a.mkv", "libx265", (400, 490, 545), tags, "yuv420p10le")(videos)
    chain = "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv444p"
    shown = _ffmpeg(path, (96, 64), chain)
    found = read_clip(path, 2).frames[0, 30, 40]
    assert np.ptp(found.astype(int)) > 20
    # FFmpeg's filter applies the system gamma of HLG to each channel, ours to the luminance, as ITU-R BT.2100 says.
    np.testing.assert_allclose(found, shown[0, 30, 40], atol=2 if transfer == 16 else 8)
