"""What must hold for any bytes, any size and any number of readers at once: no crash, no hang, bounded memory."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import av
import av.container
import numpy as np
import pytest

from sifa_core.data import Clip, Limits, decoding, read_clip
from sifa_core.errors import ClipError

SOURCES = {
    "fuzz.mp4": ("libx264", "yuv420p"),
    "fuzz.webm": ("libvpx-vp9", "yuv420p"),
    "fuzz.avi": ("mpeg4", "yuv420p"),
    "fuzz.gif": ("gif", "rgb8"),
    "fuzz.ts": ("libx264", "yuv420p"),
    "fuzz.mov": ("mjpeg", "yuvj420p"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_damaged_bytes_give_a_clip_or_a_named_error(videos, name, capfd):
    codec, pixel_format = SOURCES[name]
    whole = np.frombuffer(videos.write(name, 20, codec=codec, pixel_format=pixel_format).read_bytes(), np.uint8)
    generator = np.random.default_rng(len(name))
    outcomes = set()
    for _ in range(25):
        damaged = whole.copy()
        places = generator.integers(0, len(damaged), generator.choice([1, 4, 40]))
        damaged[places] = generator.integers(0, 256, len(places))
        path = videos.write_bytes(name, damaged[: generator.integers(len(damaged) // 4, len(damaged))].tobytes())
        try:
            clip = read_clip(path, 4)
        except ClipError as error:
            message = str(error)
            assert message.startswith(name)
            assert "\n" not in message
            outcomes.add("error")
        else:
            assert isinstance(clip, Clip)
            assert (np.diff(clip.timestamps) >= 0).all()
            outcomes.add("clip")
    assert outcomes
    assert capfd.readouterr().err == ""


def test_the_library_failing_at_the_end_loses_no_frame(videos, monkeypatch):
    """PyAV raises IndexError where a damaged transport stream announces further streams late."""
    path = videos.write("late.ts", 20)
    original = av.container.InputContainer.demux

    class Failing:
        def __init__(self, container):
            self.container = container

        def demux(self, stream):
            yield from original(self.container, stream)
            raise IndexError("list index out of range")

    real = decoding._packets
    monkeypatch.setattr(decoding, "_packets", lambda file, container, stream: real(file, Failing(container), stream))
    clip = read_clip(path, 20, start=0, stride=1)
    assert videos.numbers_of(clip.frames) == list(range(20))
    assert clip.source.warnings == ("Parts of the file are damaged; 20 frames could be decoded.",)


def test_many_readers_at_once(videos):
    """Each thread gets its own file's frames."""
    paths = [videos.write(f"walk{k}.mp4", [videos.numbered(i + 20 * k) for i in range(20)]) for k in range(6)]
    with ThreadPoolExecutor(6) as pool:
        clips = list(pool.map(lambda path: read_clip(path, 20, start=0, stride=1), paths * 3))
    for k, clip in enumerate(clips):
        assert videos.numbers_of(clip.frames) == list(range(20 * (k % 6), 20 * (k % 6) + 20))


def test_no_file_is_left_open(videos):
    read_clip(videos.write("walk.mp4", 20))
    broken = videos.write_bytes("broken.mp4", b"no video")
    script = """
import gc, os, sys
from sifa_core.data import read_clip
from sifa_core.errors import ClipError
def attempt():
    for path in sys.argv[1:]:
        try:
            read_clip(path)
        except ClipError:
            pass
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
attempt()
before = attempt()
assert [attempt() for _ in range(3)] == [before] * 3
"""
    subprocess.run([sys.executable, "-c", script, str(videos.path("walk.mp4")), str(broken)], check=True, timeout=60)


@pytest.mark.slow
def test_ten_seconds_of_full_hd_stay_below_a_gigabyte(videos):
    """The reading itself, measured in a process of its own above what the imports take."""
    texture = np.random.default_rng(0).integers(0, 256, (150, 160, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    texture = np.tile(texture, (1, 3, 1))
    pictures = (texture[:1080, 4 * i : 4 * i + 1920] for i in range(300))
    path = videos.write("large.mp4", pictures, fps=30, options={"preset": "ultrafast"})
    script = """
import resource, sys, time
from sifa_core.data import read_clip
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clip = read_clip(sys.argv[1])
assert clip.frames.shape == (16, 720, 1280, 3), clip.frames.shape
assert clip.source.num_frames == 300
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, timeout=120, capture_output=True, text=True
    )
    assert int(done.stdout) < 1_000_000_000


def test_limits_hold_without_any_metadata(videos):
    """A raw stream states neither its length nor its number of frames."""
    path = videos.write("raw.h264", 60)
    with pytest.raises(ClipError, match="more frames than the limit of 40"):
        read_clip(path, limits=Limits(max_frames=40))
    with pytest.raises(ClipError, match="longer than the limit of 1 s"):
        read_clip(path, limits=Limits(max_seconds=1))
