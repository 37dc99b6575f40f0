"""Files that cannot be used: each gives one named error, one line without a path, soon, and leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from sifa_core.data import Limits, container, read_clip
from sifa_core.errors import (
    BrokenVideoError,
    ClipError,
    ClipNotFoundError,
    ClipTooLargeError,
    ClipTooShortError,
    NotAVideoError,
    NoVideoStreamError,
)


def _image(name: str) -> Callable:
    def make(videos):
        written, data = cv2.imencode(name[name.rindex(".") :], videos.numbered(3))
        assert written
        return videos.write_bytes(name, data.tobytes())

    return make


def _text(name: str, text: str) -> Callable:
    return lambda videos: videos.write_bytes(name, text.encode())


def _prefix(name: str, fraction: float, source: str = "whole.mp4", **settings) -> Callable:
    def make(videos):
        data = videos.write(source, 40, **settings).read_bytes()
        return videos.write_bytes(name, data[: int(len(data) * fraction)])

    return make


def _noise_after_header(videos):
    """An mp4 whose index is sound and whose every coded picture is noise."""
    data = bytearray(videos.write("whole.mp4", 40).read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = np.random.default_rng(0).integers(0, 256, end - start, np.uint8).tobytes()
    return videos.write_bytes("noise.mp4", bytes(data))


def _index_of_nothing(videos):
    """A fragmented mp4 cut before its first fragment: a sound header, and no picture behind it."""
    data = videos.write("whole.mp4", 12, container_options={"movflags": "frag_keyframe+empty_moov"}).read_bytes()
    return videos.write_bytes("none.mp4", data[: data.index(b"moof") - 4])


def _huge_gif(videos):
    """Two frames that claim a canvas of 65,500 x 65,500 pixels, 17 GB when decoded."""
    data = bytearray(videos.write("small.gif", 3, codec="gif", pixel_format="rgb8").read_bytes())
    data[6:10] = (65500).to_bytes(2, "little") * 2
    return videos.write_bytes("huge.gif", bytes(data))


def _late_growth(videos):
    """A transport stream whose pictures become larger than the limit after a harmless beginning."""
    small = videos.write("small.ts", 12, size=(64, 48)).read_bytes()
    large = videos.write("large.ts", 12, size=(640, 480)).read_bytes()
    return videos.write_bytes("grows.ts", small + large)


def _song_with_cover(videos):
    path = videos.path("song.m4a")
    with av.open(str(path), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=16000, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        picture = av.VideoFrame.from_ndarray(videos.numbered(1, 64, 64), format="rgb24")
        output.mux(cover.encode(picture))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        output.mux(sound.encode(frame))
        output.mux(sound.encode())
    return path


def _forbidden(videos):
    path = videos.write("forbidden.mp4", 4)
    path.chmod(0)
    return path


def _folder(videos):
    path = videos.path("folder.mp4")
    path.mkdir()
    return path


def _pipe(videos):
    path = videos.path("pipe.mp4")
    os.mkfifo(path)
    return path


def _playlist(text: str, name: str) -> Callable:
    """A list that names a real video beside it: reading it would mean that a file may open other files."""

    def make(videos):
        target = videos.write("secret.ts", 20)
        return videos.write_bytes(name, text.format(target=target, target_name=target.name).encode())

    return make


HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.8,\n{target_name}\n#EXT-X-ENDLIST\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"

TABLE = {
    "empty": (lambda v: v.write_bytes("empty.mp4", b""), NotAVideoError, "empty.mp4 is empty."),
    "text": (_text("notes.mp4", "Not a video at all.\n" * 50), NotAVideoError, "notes.mp4 is not a video"),
    "html": (_text("page.mp4", "<!DOCTYPE html><html><body>video</body></html>"), NotAVideoError, "not a video"),
    "json": (_text("data.webm", '{"video": "a.mp4"}'), NotAVideoError, "not a video"),
    "svg": (
        _text("a.gif", "<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/hostname'/></svg>"),
        NotAVideoError,
        "",
    ),
    "zip": (lambda v: v.write_bytes("a.mp4", b"PK\x03\x04" + bytes(500)), NotAVideoError, "not a video"),
    "zeros": (lambda v: v.write_bytes("zeros.avi", bytes(4096)), NotAVideoError, "not a video"),
    "noise": (
        lambda v: v.write_bytes("n.mkv", np.random.default_rng(3).integers(0, 256, 9000, np.uint8).tobytes()),
        NotAVideoError,
        "not a video",
    ),
    "one byte": (lambda v: v.write_bytes("one.mp4", b"\x00"), NotAVideoError, "not a video"),
    "hls playlist": (_playlist(HLS, "list.m3u8"), NotAVideoError, "not a video"),
    "hls playlist renamed": (_playlist(HLS, "list.mp4"), NotAVideoError, "not a video"),
    "ffconcat list": (_playlist("ffconcat version 1.0\nfile '{target_name}'\n", "list.ffconcat"), NotAVideoError, ""),
    "ffconcat absolute": (_playlist("ffconcat version 1.0\nfile '{target}'\n", "list.mp4"), NotAVideoError, ""),
    "session description": (_text("stream.sdp", SDP), NotAVideoError, "not a video"),
    "dash manifest": (
        _playlist(
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{target}</BaseURL></MPD>', "a.mp4"
        ),
        NotAVideoError,
        "",
    ),
    "index missing": (_prefix("cut.mp4", 0.6), BrokenVideoError, "cut.mp4 starts as a video but cannot be read"),
    "only a header": (_prefix("head.mkv", 0.02, "whole.mkv"), BrokenVideoError, "head.mkv"),
    "noise for pictures": (_noise_after_header, BrokenVideoError, "noise.mp4 is a video, but its pictures"),
    "sound in mp4": (lambda v: v.write_sound("sound.mp4"), NoVideoStreamError, "sound.mp4 has no moving pictures"),
    "sound in mkv": (lambda v: v.write_sound("sound.mkv"), NoVideoStreamError, "sound.mkv has no moving pictures"),
    "sound in aac": (lambda v: v.write_sound("sound.aac", "adts"), NoVideoStreamError, "no moving pictures"),
    "song with cover": (_song_with_cover, NoVideoStreamError, "song.m4a has no moving pictures"),
    "no frame": (_index_of_nothing, ClipTooShortError, "none.mp4 has no frame; a clip needs at least 2."),
    "one frame": (lambda v: v.write("one.mp4", 1), ClipTooShortError, "one.mp4 has 1 frame; a clip needs at least 2."),
    "one frame gif": (lambda v: v.write("one.gif", 1, codec="gif", pixel_format="rgb8"), ClipTooShortError, "1 frame;"),
    "png": (_image("photo.png"), ClipTooShortError, "photo.png has 1 frame; a clip needs at least 2."),
    "jpg": (_image("photo.jpg"), ClipTooShortError, "photo.jpg has 1 frame;"),
    "webp": (_image("photo.webp"), ClipTooShortError, "photo.webp has 1 frame;"),
    "png as mp4": (lambda v: _image("p.png")(v).rename(v.path("p.mp4")), ClipTooShortError, "p.mp4 has 1 frame;"),
    "huge canvas": (_huge_gif, BrokenVideoError, "or larger than the limit of 9,437,184 pixels"),
    "missing": (lambda v: v.path("gone.mp4"), ClipNotFoundError, "gone.mp4 does not exist."),
    "folder": (_folder, ClipNotFoundError, "folder.mp4 is a folder, not a file."),
    "pipe": (_pipe, ClipNotFoundError, "pipe.mp4 is not a regular file."),
    "device": (lambda v: Path("/dev/zero"), ClipNotFoundError, "zero is not a regular file."),
    "nul in name": (lambda v: str(v.path("a\0b.mp4")), ClipNotFoundError, "not a possible file name"),
    "name too long": (lambda v: v.path("n" * 300 + ".mp4"), ClipNotFoundError, "has too long a name"),
    "no name": (lambda v: "", ClipNotFoundError, "does not exist"),
    "address": (lambda v: "http://127.0.0.1:9/a.mp4", ClipNotFoundError, "a.mp4 does not exist."),
    "protocol": (lambda v: f"concat:{v.write('real.ts', 8)}", ClipNotFoundError, "real.ts does not exist."),
    "pattern": (lambda v: _image("i1.png")(v).parent / "i%d.png", ClipNotFoundError, "i%d.png does not exist."),
}


def _written(*folders: Path) -> set[str]:
    return {str(folder / name) for folder in folders for name in os.listdir(folder)}


@pytest.fixture
def own_places(videos, monkeypatch) -> tuple[Path, Path]:
    """A temporary folder and a working folder that nobody else writes to, both empty."""
    temporary, working = videos.path("temporary"), videos.path("working")
    temporary.mkdir()
    working.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(working)
    return temporary, working


@pytest.mark.parametrize("case", TABLE)
def test_one_named_error_in_one_line(videos, own_places, case, capfd):
    make, error, text = TABLE[case]
    path = make(videos)
    before, threads = _written(videos.folder), threading.active_count()
    with pytest.raises(error) as caught:
        read_clip(path)
    message = str(caught.value)
    assert text in message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 250
    assert str(videos.folder) not in message
    assert os.sep not in message
    assert _written(*own_places) == set()
    assert _written(videos.folder) == before
    assert threading.active_count() <= threads
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the superuser")
def test_permission_is_denied(videos):
    with pytest.raises(ClipNotFoundError, match=r"forbidden\.mp4 may not be read"):
        read_clip(_forbidden(videos))


def test_permission_error_of_the_system_is_told(videos, monkeypatch):
    path = videos.write("forbidden.mp4", 4)

    def deny(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", deny)
    with pytest.raises(ClipNotFoundError, match=r"^forbidden\.mp4 may not be read: permission is denied\.$"):
        read_clip(path)


def test_a_list_of_files_reads_none_of_them(videos, monkeypatch):
    """Even if its format were allowed. The control shows that the list works where nothing forbids it."""
    path = _playlist("ffconcat version 1.0\nfile '{target}'\n", "list.mp4")(videos)
    monkeypatch.setitem(container._OPTIONS, "format_whitelist", "concat,mpegts")
    monkeypatch.setitem(container._OPTIONS, "safe", "0")
    with pytest.raises(NotAVideoError):
        read_clip(path)
    monkeypatch.setitem(container._OPTIONS, "protocol_whitelist", "file")
    assert read_clip(path).source.num_frames == 20


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(max_bytes=1000), "more than the limit of 0.0 MB"),
        (Limits(max_frames=23), "more frames than the limit of 23"),
        (Limits(max_seconds=0.5), "longer than the limit of 0.5 s"),
        (Limits(max_pixels=96 * 64 - 1), "96 x 64 pixels, more than the limit of 6,143"),
        (Limits(max_aspect_ratio=1.4), "shown at 96 x 64"),
        (Limits(max_clip_bytes=1_000_000 // 4), "16 frames of walk.mp4 take 0.3 MB, more than the limit of 0.2 MB"),
        (Limits(max_decode_seconds=1e-9), "takes longer than the limit"),
    ],
)
def test_limits(videos, limits, text):
    path = videos.write("walk.mp4", 24)
    with pytest.raises(ClipTooLargeError) as caught:
        read_clip(path, limits=limits)
    assert text in str(caught.value)
    assert "walk.mp4" in str(caught.value)


def test_what_just_fits_is_taken(videos):
    path = videos.write("walk.mp4", 24)
    limits = Limits(
        max_bytes=path.stat().st_size,
        max_clip_bytes=16 * 96 * 64 * 3,
        max_frames=24,
        max_seconds=0.92,
        max_pixels=96 * 64,
        max_aspect_ratio=1.5,
    )
    assert read_clip(path, limits=limits).source.num_frames == 24


def test_pictures_that_grow_are_stopped_while_decoding(videos):
    with pytest.raises(ClipTooLargeError, match="640 x 480 pixels, more than the limit of 100,000"):
        read_clip(_late_growth(videos), limits=Limits(max_pixels=100_000))


def test_a_slow_decoder_is_stopped(videos, monkeypatch):
    """The clock is asked between packets, so a file cannot hold a worker for long."""
    now = iter(range(10_000))
    monkeypatch.setattr(container.time, "monotonic", lambda: float(next(now)))
    with pytest.raises(ClipTooLargeError, match=r"walk\.mp4 takes longer than the limit of 20 s to read\."):
        read_clip(videos.write("walk.mp4", 60), limits=Limits(max_decode_seconds=20))


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "5"])
def test_limits_are_validated(value):
    with pytest.raises(ValueError, match="max_frames must be a positive number"):
        Limits(max_frames=value)


@pytest.mark.parametrize("value", [0, float("nan"), -float("inf")])
def test_only_the_clock_may_run_for_ever(value):
    assert Limits(max_decode_seconds=float("inf")).max_decode_seconds == float("inf")
    with pytest.raises(ValueError, match="max_decode_seconds must be a positive number"):
        Limits(max_decode_seconds=value)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"num_frames": 0}, ClipError, "num_frames must be between 1 and 256, not 0."),
        ({"num_frames": 257}, ClipError, "num_frames must be between 1 and 256"),
        ({"num_frames": 2.5}, ClipError, "num_frames must be a whole number"),
        ({"stride": 0}, ClipError, "stride must be at least 1, not 0."),
        ({"stride": "fast"}, ClipError, "stride must be a whole number, not 'fast'."),
        ({"start": -1}, ClipError, "start must be at least 0, not -1."),
        ({"start": True}, ClipError, "start must be a whole number"),
        ({"max_short_side": 0}, ClipError, "max_short_side must be at least 1"),
        ({"start": 23}, ClipTooShortError, "walk.mp4 has 24 frames, too few from frame 23 on"),
        ({"start": 10**9}, ClipTooShortError, "walk.mp4 has 24 frames, too few from frame"),
    ],
)
def test_arguments(videos, arguments, error, text):
    path = videos.write("walk.mp4", 24)
    with pytest.raises(error) as caught:
        read_clip(path, **arguments)
    assert text in str(caught.value)


def test_huge_stride_is_reduced(videos):
    assert read_clip(videos.write("walk.mp4", 24), 4, start=0, stride=10**12).indices.tolist() == [0, 7, 14, 21]
