"""An answer is believed in nothing: whatever is wrong with it is found before a clip is made of it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sifa_core.data import ClipSource, Limits
from sifa_core.data.isolated.messages import (
    NonsenseError,
    Order,
    WorkerFault,
    decode,
    encode_failure,
    encode_readings,
)
from sifa_core.data.isolated.shared_memory import SharedArrays, new_memory, placed
from sifa_core.data.isolated.worker_limits import WorkerLimits
from sifa_core.data.reading import ClipRequest, Course, OverviewRequest, Reading, ViewsRequest
from sifa_core.errors import BrokenVideoError, ClipTooLargeError

ROOM = 1_000_000
ORDER = Order("walk.mp4", ClipRequest(4), Limits(max_clip_bytes=100_000), WorkerLimits())


@pytest.fixture
def memory():
    descriptor = new_memory(ROOM)
    yield descriptor
    os.close(descriptor)


def reading() -> Reading:
    source = ClipSource("", "", 8, 6, 25.0, 0.2, num_frames=5, codec="h264", warnings=("It is short.",))
    pictures = np.arange(3 * 6 * 8 * 3, dtype=np.uint8).reshape(3, 6, 8, 3)
    return Reading(pictures, np.array([0, 1, 2, 2]), np.array([0.0, 0.04, 0.08, 0.08]), np.array([0, 1, 2, 2]), source)


def test_what_was_read_comes_back(memory):
    shared = SharedArrays(memory, ROOM)
    made = reading()
    made = Reading(shared.empty((3, 6, 8, 3)), made.places, made.timestamps, made.indices, made.source)
    made.pictures[...] = reading().pictures
    (found,) = decode(encode_readings([made], shared), memory, ORDER)
    clip, expected = found.clip("walk.mp4", "ab"), made.clip("walk.mp4", "ab")
    np.testing.assert_array_equal(clip.frames, reading().pictures[[0, 1, 2, 2]])
    assert clip.source == expected.source
    assert not found.pictures.flags.writeable


def test_pictures_that_clips_share_are_mapped_once(memory):
    """Twice as many mappings are twice as much time, and look like twice as much memory."""
    shared = SharedArrays(memory, ROOM)
    order = Order("walk.mp4", ViewsRequest(4, 2), Limits(), WorkerLimits())
    made = reading()
    made = Reading(shared.empty((3, 6, 8, 3)), made.places, made.timestamps, made.indices, made.source)
    first = replace(made, course=Course(np.arange(5) / 25, np.zeros(5)))
    one, *others = decode(encode_readings([first, made, made], shared), memory, order)
    assert len(others) == 2
    assert all(other.pictures is one.pictures for other in others)


@pytest.mark.parametrize(
    "request_", [ClipRequest(4, 2, 3, 100), ViewsRequest(4, 2, 90, 1000, 40), OverviewRequest(4, 2, 3, 9, 90)]
)
def test_an_order_comes_through(request_):
    order = Order("a – b.mp4", request_, Limits(max_decode_seconds=float("inf")), WorkerLimits(readers=7))
    assert Order.decoded(order.encoded()) == order


def test_arrays_made_elsewhere_hold_no_descriptor(memory):
    shared = SharedArrays(memory, ROOM)
    before = len(os.listdir("/proc/self/fd"))
    entries = [shared.entry(np.full(9, number)) for number in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert [placed(memory, entry, "int64", 1)[8] for entry in entries] == list(range(50))


def test_errors_come_through(memory):
    with pytest.raises(BrokenVideoError, match=r"^It is broken\.$"):
        decode(encode_failure(BrokenVideoError("It is broken.")), memory, ORDER)
    with pytest.raises(ClipTooLargeError, match=r"^walk\.mp4 would take more memory"):
        decode(encode_failure(MemoryError()), memory, ORDER)
    with pytest.raises(WorkerFault, match=r"^ZeroDivisionError: a\\nb$"):
        decode(encode_failure(ZeroDivisionError("a\nb")), memory, ORDER)


def test_memory_has_its_size_for_good(memory):
    for size in (ROOM - 1, ROOM + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(memory, size)
    with pytest.raises(MemoryError):
        SharedArrays(memory, ROOM).empty((ROOM + 1,))


def changed(*path: Any, to: Any) -> Any:
    def change(answer: dict[str, Any]) -> None:
        inner: Any = answer["readings"]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to

    return change


WRONG = {
    "no reading": lambda answer: answer.update(readings=[]),
    "too many": lambda answer: answer.update(readings=answer["readings"] * 2),
    "not a reading": changed(0, to=7),
    "place": changed(0, "pictures", "at", to=-4096),
    "place not of a page": changed(0, "pictures", "at", to=1),
    "place that is none": changed(0, "pictures", "at", to=True),
    "place behind the end": changed(0, "pictures", "at", to=4096 * 10**6),
    "shape": changed(0, "pictures", "shape", to=[3, 6, 8]),
    "negative shape": changed(0, "pictures", "shape", to=[3, -6, -8, 3]),
    "nothing": changed(0, "pictures", "shape", to=[0, 6, 8, 3]),
    "more than there is": changed(0, "pictures", "shape", to=[1000, 100, 100, 3]),
    "more than the limit": changed(0, "pictures", "shape", to=[200, 20, 20, 3]),
    "four colours": changed(0, "pictures", "shape", to=[3, 6, 6, 4]),
    "too large": changed(0, "pictures", "shape", to=[1, 721, 721, 3]),
    "type": changed(0, "timestamps", "type", to="object"),
    "another number": changed(0, "indices", "shape", to=[3]),
    "no array": changed(0, "places", to=None),
    "frames without a picture": changed(0, "pictures", "shape", to=[2, 6, 8, 3]),
    "no source": changed(0, "source", to=None),
    "further facts": changed(0, "source", "further", to=1),
    "width": changed(0, "source", "width", to="8"),
    "rate": changed(0, "source", "fps", to=float("nan")),
    "codec": changed(0, "source", "codec", to="<script>"),
    "rotation": changed(0, "source", "rotation", to=45),
    "range": changed(0, "source", "dynamic_range", to="HDR"),
    "flag": changed(0, "source", "variable_frame_rate", to=1),
    "warnings": changed(0, "source", "warnings", to=[["a"]]),
    "lines": changed(0, "source", "warnings", to=["a\nb"]),
    "long warning": changed(0, "source", "warnings", to=["a" * 1001]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_answers_are_found(memory, case):
    answer = json.loads(encode_readings([reading()], SharedArrays(memory, ROOM)))
    WRONG[case](answer)
    with pytest.raises(NonsenseError):
        decode(json.dumps(answer).encode(), memory, ORDER)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"7",
        b"\xff",
        b'{"error": "SystemExit", "sentence": "a"}',
        b'{"error": "ClipError", "sentence": "a\\nb"}',
        b'{"memory": 1.5}',
    ],
)
def test_what_is_no_answer(memory, answer):
    with pytest.raises(NonsenseError):
        decode(answer, memory, ORDER)


def test_times_and_numbers_are_looked_at(memory):
    made = reading()
    for name, value in (("timestamps", float("inf")), ("indices", -1), ("places", -1)):
        values = getattr(made, name).copy()
        values[1] = value
        parts = {each: getattr(made, each) for each in ("pictures", "places", "timestamps", "indices", "source")}
        answer = encode_readings([Reading(**{**parts, name: values})], SharedArrays(memory, ROOM))
        with pytest.raises(NonsenseError):
            decode(answer, memory, ORDER)


@pytest.mark.parametrize(
    "course",
    [
        Course(np.arange(4) / 25, np.zeros(4)),
        Course(np.array([0.0, 1.0, np.nan, 2.0, 3.0]), np.zeros(5)),
        Course(np.array([0.0, 1.0, 0.5, 2.0, 3.0]), np.zeros(5)),
        Course(np.arange(5) / 25, np.array([0.0, -1.0, 0.0, 0.0, 0.0])),
        None,
    ],
)
def test_a_course_that_no_video_has_is_found(memory, course):
    shared = SharedArrays(memory, ROOM)
    order = Order("walk.mp4", ViewsRequest(4, 2), Limits(), WorkerLimits())
    with pytest.raises(NonsenseError):
        decode(encode_readings([replace(reading(), course=course)], shared), memory, order)


@pytest.mark.parametrize(("thumbnails", "answers", "is_right"), [(4, 2, True), (3, 2, False), (4, 3, False)])
def test_an_overview_has_no_more_than_was_asked_for(memory, thumbnails, answers, is_right):
    shared = SharedArrays(memory, ROOM)
    order = Order("walk.mp4", OverviewRequest(4, 1, 1, thumbnails, 90), Limits(), WorkerLimits())
    answer = encode_readings([reading()] * answers, shared)
    if is_right:
        assert len(decode(answer, memory, order)) == answers
    else:
        with pytest.raises(NonsenseError, match="another number of"):
            decode(answer, memory, order)
