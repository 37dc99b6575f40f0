"""What goes to a worker and comes back, as JSON. The answer may have been made by whoever made the video: it is read
like the video itself, as something of which every part may be wrong.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.clip import ClipSource
from sifa_core.data.container import too_much_memory
from sifa_core.data.isolated.shared_memory import SharedArrays, placed
from sifa_core.data.isolated.worker_limits import WorkerLimits
from sifa_core.data.limits import Limits
from sifa_core.data.reading import ClipRequest, Course, OverviewRequest, Reading, Request, ViewsRequest
from sifa_core.errors import (
    BrokenVideoError,
    ClipError,
    ClipNotFoundError,
    ClipTooLargeError,
    ClipTooShortError,
    NotAVideoError,
    NoVideoStreamError,
)

LARGEST_ANSWER = 4_000_000
"""Bytes. Pictures and numbers of frames come another way; warnings may be many."""

_REQUESTS = {kind.__name__: kind for kind in (ClipRequest, ViewsRequest, OverviewRequest)}
_ERRORS = {
    kind.__name__: kind
    for kind in (
        ClipError,
        BrokenVideoError,
        ClipNotFoundError,
        ClipTooLargeError,
        ClipTooShortError,
        NoVideoStreamError,
        NotAVideoError,
    )
}
_COURSE = ("timestamps", "motion")
_LONGEST_SENTENCE = 1000
_DYNAMIC_RANGES = ("SDR", "HDR (PQ)", "HDR (HLG)")


@dataclass(frozen=True)
class Order:
    """All that a worker is told about a file."""

    name: str
    """Display name, shortened for sentences."""
    request: Request
    limits: Limits
    worker: WorkerLimits

    def encoded(self) -> bytes:
        """One line."""
        parts = {
            "name": self.name,
            "kind": type(self.request).__name__,
            "request": asdict(self.request),
            "limits": asdict(self.limits),
            "worker": asdict(self.worker),
        }
        return json.dumps(parts, default=int).encode() + b"\n"  # NumPy's whole numbers are requests, too

    @classmethod
    def decoded(cls, line: bytes) -> Order:
        """The order that `encoded` gave."""
        parts = json.loads(line)
        return cls(
            parts["name"],
            _REQUESTS[parts["kind"]](**parts["request"]),
            Limits(**parts["limits"]),
            WorkerLimits(**parts["worker"]),
        )


class NonsenseError(ValueError):
    """An answer that no worker gives which is what it should be."""


class WorkerFault(Exception):  # noqa: N818 - it is not an error of whoever asked
    """The reading failed in a way that nobody foresaw; its text is for the log."""


def encode_readings(readings: list[Reading], shared: SharedArrays) -> bytes:
    """The answer of a worker that could read its file. Raises MemoryError."""
    arrays = ("pictures", "places", "timestamps", "indices")
    answer = [
        {name: shared.entry(getattr(reading, name)) for name in arrays} | {"source": asdict(reading.source)}
        for reading in readings
    ]
    for reading, told in zip(readings, answer, strict=True):
        if reading.course is not None:
            told["course"] = {name: shared.entry(getattr(reading.course, name)) for name in _COURSE}
    return json.dumps({"readings": answer}).encode()


def encode_failure(error: BaseException) -> bytes:
    """The answer of a worker that could not."""
    if isinstance(error, ClipError) and type(error).__name__ in _ERRORS:
        return json.dumps({"error": type(error).__name__, "sentence": str(error)}).encode()
    if isinstance(error, MemoryError):
        return b'{"memory": true}'
    return json.dumps({"fault": f"{type(error).__name__}: {error}"[:_LONGEST_SENTENCE]}).encode()


def decode(answer: bytes, memory: int, order: Order) -> list[Reading]:
    """What an answer says. Raises the ClipError that it tells, WorkerFault, and NonsenseError."""
    try:
        parts = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise NonsenseError("not JSON") from error
    match parts:
        case {"readings": list(readings)}:
            return _readings(readings, memory, order)
        case {"error": str(kind), "sentence": str(sentence)} if kind in _ERRORS and _is_sentence(sentence):
            raise _ERRORS[kind](sentence)
        case {"memory": True}:
            raise too_much_memory(order.name)
        case {"fault": str(text)}:
            raise WorkerFault(text.encode("unicode_escape").decode()[:_LONGEST_SENTENCE])
    raise NonsenseError("no answer")


def _readings(answers: list[Any], memory: int, order: Order) -> list[Reading]:
    request = order.request
    match request:
        case ClipRequest():
            most = 1
        case ViewsRequest(views=spread) | OverviewRequest(windows=spread):
            most = spread + 1
    if not 1 <= len(answers) <= most:
        raise NonsenseError("another number of clips")
    pictures: dict[str, NDArray[np.uint8]] = {}  # what several clips share is mapped once
    try:
        for answer in answers:
            entry = answer["pictures"]
            if str(entry) not in pictures:
                pictures[str(entry)] = placed(memory, entry, "uint8", 4)
        found = [_reading(answer, pictures[str(answer["pictures"])], memory, order) for answer in answers]
        if isinstance(request, ViewsRequest):
            found[0] = replace(found[0], course=_course(answers[0]["course"], memory, found[0].source.num_frames))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise NonsenseError(str(error)) from error
    for number, reading in enumerate(found):
        if not _is_length(len(reading.indices), request, number):
            raise NonsenseError("another number of frames")
    return found


def _is_length(count: int, request: Request, number: int) -> bool:
    """Whether so many frames may come back first, second, ..."""
    if isinstance(request, OverviewRequest) and number == 0:
        return 1 <= count <= request.thumbnails
    return count == request.num_frames


def _course(answer: dict[str, Any], memory: int, frames: int | None) -> Course:
    timestamps, motion = (placed(memory, answer[name], "float64", 1).copy() for name in _COURSE)
    if not len(timestamps) == len(motion) == frames or not np.isfinite(timestamps).all():
        raise NonsenseError("no times of frames")
    if (np.diff(timestamps) < 0).any() or not ((motion >= 0) | np.isnan(motion)).all():
        raise NonsenseError("no times of frames")
    return Course(timestamps, motion)


def _reading(answer: dict[str, Any], pictures: NDArray[np.uint8], memory: int, order: Order) -> Reading:
    numbers: dict[str, Any] = {
        name: placed(memory, answer[name], kind, 1).copy()
        for name, kind in (("places", "int64"), ("timestamps", "float64"), ("indices", "int64"))
    }
    short_side = min(pictures.shape[1:3])
    if pictures.shape[3] != 3 or pictures.nbytes > order.limits.max_clip_bytes:
        raise NonsenseError("pictures of another kind")
    if short_side > order.request.max_short_side:
        raise NonsenseError("larger pictures")
    if len({len(values) for values in numbers.values()}) != 1:
        raise NonsenseError("frames without a time")
    if numbers["places"].min() < 0 or numbers["places"].max() >= len(pictures):
        raise NonsenseError("frames without a picture")
    if not np.isfinite(numbers["timestamps"]).all() or numbers["indices"].min() < 0:
        raise NonsenseError("no times or numbers of frames")
    return Reading(pictures, source=_source(answer["source"]), **numbers)


def _source(facts: dict[str, Any]) -> ClipSource:
    source = ClipSource(**{**facts, "warnings": tuple(facts["warnings"])})
    whole = (source.width, source.height, source.num_frames, source.stride)
    is_right = (
        all(type(number) is int and 0 < number < 1 << 31 for number in whole)
        and all(type(number) is float and math.isfinite(number) for number in (source.fps, source.duration))
        and type(source.codec) is str
        and re.fullmatch(r"[\w.-]{0,40}", source.codec, re.ASCII) is not None
        and source.rotation in (0, 90, 180, 270)
        and source.dynamic_range in _DYNAMIC_RANGES
        and type(source.variable_frame_rate) is bool
        and all(_is_sentence(sentence) for sentence in source.warnings)
    )
    if not is_right:
        raise NonsenseError("facts that no video has")
    return source


def _is_sentence(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= _LONGEST_SENTENCE and text.isprintable()
