"""What workers give is what reading here gives; and they are replaced, end with their owner, and work side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sifa_core.data import Clip, Limits, read_clip, read_overview, read_video, read_views
from sifa_core.data.isolated import Readers, WorkerLimits
from sifa_core.data.isolated import readers as module
from sifa_core.errors import (
    ClipError,
    ClipNotFoundError,
    ClipTooLargeError,
    ClipTooShortError,
    NotAVideoError,
    NoVideoStreamError,
    ReaderUnavailableError,
)
from tests.data import containers, hostile
from tests.waiting import wait_for


def assert_same(found: Clip, expected: Clip) -> None:
    assert found.source == expected.source
    np.testing.assert_array_equal(found.frames, expected.frames)
    np.testing.assert_array_equal(found.timestamps, expected.timestamps)
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert not found.frames.flags.writeable


def webp(videos: Any) -> Path:
    pictures = [Image.fromarray(videos.numbered(number)) for number in range(6)]
    pictures[0].save(videos.path("walk.webp"), save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    return videos.path("walk.webp")


KINDS: dict[str, Callable[[Any], Path]] = {
    "h264": lambda videos: videos.write("walk.mp4", 24, options={"bf": "2"}),
    "vp9 with transparency": containers.transparent("clear.webm", "libvpx-vp9", (255, 0, 0)),
    "interlaced": lambda videos: videos.write("field.mpg", 12, codec="mpeg2video", options={"flags": "+ilme+ildct"}),
    "gif": lambda videos: videos.write("walk.gif", 12, codec="gif", pixel_format="rgb8"),
    "apng": lambda videos: videos.write("walk.apng", 12, codec="apng", pixel_format="rgb24"),
    "webp": webp,
    "hdr": containers.colour(
        "hdr.mkv", "ffv1", (600, 512, 512), {"color_trc": 16, "color_primaries": 9}, "yuv420p10le"
    ),
    "joined": containers.joined("two.ts", 0.0, 30.0),
    "large": lambda videos: videos.write("large.mp4", 6, size=(1920, 1080), options={"preset": "ultrafast"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_clips_are_those_of_reading_here(videos, readers, kind):
    """Every library that a kind needs has to be there before the worker is confined."""
    path = KINDS[kind](videos)
    assert_same(readers.read_clip(path, 8), read_clip(path, 8))


def test_views_are_those_of_reading_here(videos, readers):
    path = videos.write("walk.mp4", 60)
    options = {"max_short_side": 60, "max_bytes": 100_000, "view_short_side": 40}
    reading = readers.read_video(path, 8, 12, **options)
    expected, others = read_views(path, 8, 12, **options)
    assert_same(reading.clip, expected)
    assert len(reading.views) == len(others) == 12
    for one, other in zip(reading.views, others, strict=True):
        assert_same(one, other)


def test_an_overview_is_that_of_reading_here(videos, readers):
    path = videos.write("walk.mp4", 60)
    options = {"max_short_side": 40, "known_frames": 60}
    first, windows = readers.read_overview(path, 8, 4, 2, thumbnails=10, **options)
    expected, others = read_overview(path, 8, 4, 2, thumbnails=10, **options)
    for one, other in zip([first, *windows], [expected, *others], strict=True):
        assert_same(one, other)
    course, there = readers.read_video(path, 8, 2).course, read_video(path, 8, 2).course
    np.testing.assert_array_equal(course.timestamps, there.timestamps)
    np.testing.assert_array_equal(course.motion, there.motion)


def test_arguments_and_warnings_come_through(videos, readers):
    path = videos.write("short.mp4", 6)
    clip = readers.read_clip(path, np.int64(8), start=1, stride=4, max_short_side=32)
    assert_same(clip, read_clip(path, 8, start=1, stride=4, max_short_side=32))
    assert clip.source.warnings
    with pytest.raises(ClipError, match="num_frames must be between 1 and 256, not 0"):
        readers.read_clip(path, 0)


def test_errors_are_those_of_reading_here(videos, readers):
    sound, one = videos.write_sound("song.m4a"), videos.write("one.mp4", 1)
    cases = {
        videos.path("missing.mp4"): ClipNotFoundError,
        videos.folder: ClipNotFoundError,
        videos.write_bytes("empty.mp4", b""): NotAVideoError,
        videos.write_bytes("\u202etxt.mp4", b"hello"): NotAVideoError,
        sound: NoVideoStreamError,
        one: ClipTooShortError,
    }
    for path, kind in cases.items():
        with pytest.raises(kind) as here:
            read_clip(path)
        with pytest.raises(kind) as there:
            readers.read_clip(path)
        assert str(there.value) == str(here.value)
    with pytest.raises(ClipTooLargeError, match="more than the limit of 9 pixels|more than the limit of 9\\."):
        readers.read_clip(videos.write("walk.mp4", 4), limits=Limits(max_pixels=9))


def test_nothing_is_left_open(readers, good):
    def attempt() -> int:
        readers.read_clip(good, 4)
        readers.settle()
        return len(os.listdir("/proc/self/fd"))

    assert attempt() == attempt()


def workers_of(readers: Readers) -> list[int]:
    readers.describe()  # until then the template has children that are no workers
    template = readers._running().process.pid
    return [int(number) for number in Path(f"/proc/{template}/task/{template}/children").read_text().split()]


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes a minute or more, and little memory."""
    path = tmp_path_factory.mktemp("endless") / "endless.mkv"
    path.write_bytes(hostile.falling_chapters(200))
    return path


def test_a_worker_that_is_killed(readers, good, endless):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(readers.read_clip, endless, 4)
        os.kill(wait_for(lambda: workers_of(readers))[0], signal.SIGKILL)
        with pytest.raises(ClipTooLargeError, match=r"^endless\.mkv would take more memory to read than"):
            answer.result()
    assert_same(readers.read_clip(good, 4), read_clip(good, 4))


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_decoder_that_crashes(readers, good, endless, signal_number):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(readers.read_clip, endless, 4)
        os.kill(wait_for(lambda: workers_of(readers))[0], signal_number)
        with pytest.raises(ClipError, match=r"^endless\.mkv brings the decoder down; it is damaged, or made to do"):
            answer.result()
    assert_same(readers.read_clip(good, 4), read_clip(good, 4))


def test_a_worker_that_takes_too_long(readers, good, endless):
    with pytest.raises(ClipTooLargeError, match=r"^endless\.mkv takes longer than the limit of 0\.5 s to read\.$"):
        readers.read_clip(endless, 4, limits=Limits(max_decode_seconds=0.5))
    assert_same(readers.read_clip(good, 4), read_clip(good, 4))


def test_a_hostile_file_beside_a_good_one(readers, good, endless):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(readers.read_clip, endless, 4)
        wait_for(lambda: workers_of(readers))
        assert_same(readers.read_clip(good, 4), read_clip(good, 4))
        assert not answer.done()
        (worker,) = wait_for(lambda: len(found := workers_of(readers)) == 1 and found)  # the good file's has ended
        os.kill(worker, signal.SIGKILL)
        assert isinstance(answer.exception(), ClipTooLargeError)


def test_no_more_files_are_read_at_once_than_the_limit(good, endless):
    readers = Readers(WorkerLimits(readers=1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(readers.read_clip, endless, 4)
        (worker,) = wait_for(lambda: workers_of(readers))
        second = pool.submit(readers.read_clip, good, 4)
        assert workers_of(readers) == [worker]
        os.kill(worker, signal.SIGKILL)
        assert isinstance(first.exception(), ClipTooLargeError)
        assert_same(second.result(), read_clip(good, 4))
    readers.close()


def test_the_template_is_replaced(readers, good):
    readers.read_clip(good, 4)
    before = readers._running().process
    before.kill()
    before.wait()
    assert_same(readers.read_clip(good, 4), read_clip(good, 4))
    assert readers._running().process.pid != before.pid


def test_the_template_is_replaced_in_the_midst_of_reading(readers, good, endless):
    """The file, which has nothing to do with it, is read by the next one."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(readers.read_clip, endless, 4, limits=Limits(max_decode_seconds=5))
        wait_for(lambda: workers_of(readers))
        endless_worker = workers_of(readers)
        readers._running().process.kill()
        with pytest.raises(ClipTooLargeError, match="takes longer than the limit of 5 s"):
            answer.result()
    wait_for(lambda: not any(Path(f"/proc/{number}/exe").exists() for number in endless_worker))
    assert_same(readers.read_clip(good, 4), read_clip(good, 4))


def test_a_template_that_cannot_start(good, monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    readers = Readers()
    with pytest.raises(ReaderUnavailableError, match="the process that reads them cannot start"):
        readers.read_clip(good, 4)
    with pytest.raises(ReaderUnavailableError):
        readers.describe()
    readers.close()


def test_everything_ends_with_its_owner(good, endless):
    """Even when the owner has no time to say so."""
    script = """
import sys, threading
from sifa_core.data.isolated import Readers
readers = Readers()
readers.read_clip(sys.argv[1], 4)
threading.Thread(target=readers.read_clip, args=(sys.argv[2],), daemon=True).start()
print(readers._running().process.pid, flush=True)
sys.stdin.read()
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", script, good, endless], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    template = int(owner.stdout.readline())
    children = Path(f"/proc/{template}/task/{template}/children")
    workers = wait_for(lambda: children.read_text().split())
    owner.kill()
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    wait_for(lambda: not any(Path(f"/proc/{number}/exe").exists() for number in [template, *workers]))


def test_many_threads(readers, videos):
    paths = [videos.write(f"walk{k}.mp4", [videos.numbered(i + 20 * k) for i in range(12)]) for k in range(3)]
    with ThreadPoolExecutor(6) as pool:
        clips = list(pool.map(lambda path: readers.read_clip(path, 12, start=0, stride=1), paths * 2))
    for k, clip in enumerate(clips):
        assert videos.numbers_of(clip.frames) == list(range(20 * (k % 3), 20 * (k % 3) + 12))


def test_an_unforeseen_fault_is_a_sentence_and_a_line_in_the_log(good, monkeypatch, caplog):
    readers = Readers()
    monkeypatch.setattr(module, "_answer", lambda *_: b'{"fault": "KeyError: \'a\\nb\'"}')
    with pytest.raises(ClipError, match=r"^good\.mp4 cannot be read here\.$"):
        readers.read_clip(good, 4)
    assert "KeyError: 'a\\nb'" in caplog.text
    readers.close()


def test_without_workers(good):
    readers = Readers(isolate=False)
    readers.start()
    assert "can end it" in readers.describe()
    assert_same(readers.read_clip(good, 4), read_clip(good, 4))
    assert readers._template is None
    readers.close()


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_limits_are_validated(value):
    with pytest.raises(ValueError, match="memory_bytes must be a positive whole number"):
        WorkerLimits(memory_bytes=value)
