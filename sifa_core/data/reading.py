"""From an opened video file to the pictures of its clips, wherever that happens: in this process or in a worker.

N frames of the source, T frames of a clip, U pictures that several clips share, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.clip import Clip, ClipSource
from sifa_core.data.colour import unusual_transfer
from sifa_core.data.container import VideoFile
from sifa_core.data.limits import Limits
from sifa_core.data.motion_energy import motion_between
from sifa_core.data.sampling import Window, auto_window, fitting_stride, is_variable, uniform_clips
from sifa_core.data.scan import Allocate, Scan, empty_pictures, pictures, scan_video
from sifa_core.data.window import read_window
from sifa_core.errors import BrokenVideoError, ClipError, ClipTooShortError

MOST_FRAMES = 256
"""Of one clip, and clips of one video."""

Choose = Callable[[NDArray[np.float64]], Window]
"""timestamps [N] in seconds -> the wanted frames."""


@dataclass(frozen=True)
class ClipRequest:
    """What `read_clip` is asked for; see there. Raises ClipError for what makes no sense."""

    num_frames: int
    start: int | None = None
    stride: int | Literal["auto"] = "auto"
    max_short_side: int = 720
    known_frames: int | None = None
    """How many frames an earlier reading has found in the file. If its packets say the same, a clip whose start and
    stride are given is read without decoding all the others."""

    def __post_init__(self) -> None:
        check_number("num_frames", self.num_frames, 1, MOST_FRAMES)
        check_number("max_short_side", self.max_short_side, 1)
        if self.known_frames is not None:
            check_number("known_frames", self.known_frames, 2)
        if self.start is not None:
            check_number("start", self.start, 0)
        if self.stride != "auto":
            check_number("stride", self.stride, 1)


@dataclass(frozen=True)
class ViewsRequest:
    """What `read_views` is asked for; see there. Raises ClipError for what makes no sense."""

    num_frames: int
    views: int
    max_short_side: int = 720
    max_bytes: int | None = None
    view_short_side: int | None = None

    def __post_init__(self) -> None:
        check_number("num_frames", self.num_frames, 1, MOST_FRAMES)
        check_number("views", self.views, 1, MOST_FRAMES)
        check_number("max_short_side", self.max_short_side, 1)
        for field in ("max_bytes", "view_short_side"):
            if getattr(self, field) is not None:
                check_number(field, getattr(self, field), 1)


@dataclass(frozen=True)
class OverviewRequest:
    """What `read_overview` is asked for; see there. Raises ClipError for what makes no sense."""

    num_frames: int
    windows: int
    stride: int
    thumbnails: int
    max_short_side: int
    known_frames: int | None = None

    def __post_init__(self) -> None:
        for field in ("num_frames", "windows", "thumbnails"):
            check_number(field, getattr(self, field), 1, MOST_FRAMES)
        check_number("stride", self.stride, 1)
        check_number("max_short_side", self.max_short_side, 1)
        if self.known_frames is not None:
            check_number("known_frames", self.known_frames, 2)


Request = ClipRequest | ViewsRequest | OverviewRequest


@dataclass(frozen=True, eq=False)
class Course:
    """How a whole video goes, frame by frame."""

    timestamps: NDArray[np.float64]
    """[N] seconds since the first frame."""
    motion: NDArray[np.float64]
    """[N] movement since the frame before, as a fraction of the short side; NaN where a cut lies between them."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The pictures of a clip, perhaps shared with other clips of the same video, and the facts of its source."""

    pictures: NDArray[np.uint8]
    """[U, H, W, 3], RGB."""
    places: NDArray[np.int64]
    """[T] which of the pictures each frame of the clip is."""
    timestamps: NDArray[np.float64]
    """[T], as in `Clip`."""
    indices: NDArray[np.int64]
    """[T], as in `Clip`."""
    source: ClipSource
    """Without name and hash, which whoever has opened the file knows."""
    course: Course | None = None
    """Of the whole video, with the first clip of `ViewsRequest`."""

    def clip(self, name: str, sha256: str) -> Clip:
        """The clip of the file with this display name and hash."""
        first, count = int(self.places[0]), len(self.places)
        # Neighbours in order are a part of the pictures, and need no copy.
        in_order = np.array_equal(self.places, np.arange(first, first + count))
        frames = self.pictures[first : first + count] if in_order else self.pictures[self.places]
        return Clip(frames, self.timestamps, self.indices, replace(self.source, name=name, sha256=sha256))


def read(file: VideoFile, limits: Limits, request: Request, allocate: Allocate = empty_pictures) -> list[Reading]:
    """The clip or the thumbnails asked for, then the clips that are spread over the video, if any are asked for.

    `allocate` makes the arrays that the pictures are written into. Raises as `read_clip` does.
    """
    if isinstance(request, ClipRequest):
        return [_read_clip(file, limits, request, allocate)]
    if isinstance(request, OverviewRequest):
        return _read_overview(file, limits, request, allocate)
    return _read_views(file, limits, request, allocate)


def _read_clip(file: VideoFile, limits: Limits, request: ClipRequest, allocate: Allocate) -> Reading:
    fixed = request.start is not None and request.stride != "auto"
    if fixed and (quick := _read_known_clip(file, limits, request, allocate)) is not None:
        return quick
    found = scan_video(file, limits, request.max_short_side, thumbnails=not fixed)
    timestamps = _checked_timestamps(file, limits, found, request.start or 0)
    motion = np.zeros(len(timestamps)) if fixed else motion_between(found.thumbnails)
    window = auto_window(timestamps, motion, request.num_frames, start=request.start, stride=request.stride)
    frames = pictures(file, limits, found, window.indices, allocate=allocate)
    return _reading(found, timestamps, window, None if request.stride == "auto" else request.stride, frames)


def _read_views(file: VideoFile, limits: Limits, request: ViewsRequest, allocate: Allocate) -> list[Reading]:
    found = scan_video(file, limits, request.max_short_side, thumbnails=True)
    timestamps = _checked_timestamps(file, limits, found, 0)
    motion = motion_between(found.thumbnails)
    window = auto_window(timestamps, motion, request.num_frames)
    spread = np.unique(uniform_clips(timestamps, request.num_frames, window.stride, request.views), axis=0)
    assert found.show is not None
    side = None if request.max_bytes is None else found.show.short_side_within(request.max_bytes // request.num_frames)
    clip = _reading(
        found, timestamps, window, None, pictures(file, limits, found, window.indices, side, allocate=allocate)
    )
    needed = np.unique(spread)
    shared = pictures(file, limits, found, needed, request.view_short_side, allocate=allocate)
    return [
        replace(clip, course=Course(timestamps, motion)),
        *(
            _reading(found, timestamps, Window(each, window.stride), None, shared, np.searchsorted(needed, each))
            for each in spread
        ),
    ]


def _read_known_clip(file: VideoFile, limits: Limits, request: ClipRequest, allocate: Allocate) -> Reading | None:
    start, stride = request.start, request.stride
    assert start is not None
    assert stride != "auto"

    if request.known_frames is None or start > request.known_frames - 2:
        return None

    def choose(timestamps: NDArray[np.float64]) -> Window:
        last = len(timestamps) - 1  # of a file that is another one than it was
        still = np.zeros(len(timestamps))
        return auto_window(timestamps, still, request.num_frames, start=min(start, last), stride=stride)

    quick = _read_known(file, limits, request, choose, allocate, in_one_step=False)
    return None if quick is None else _reading(*quick[:3], stride, quick[3])


def _read_known(
    file: VideoFile,
    limits: Limits,
    request: ClipRequest | OverviewRequest,
    choose: Choose,
    allocate: Allocate,
    *,
    in_one_step: bool,
) -> tuple[Scan, NDArray[np.float64], Window, NDArray[np.uint8]] | None:
    """What `read_window` gives, with the times of all frames, if the packets tell of as many frames as are known."""
    if request.known_frames is None:
        return None
    quick = read_window(file, limits, choose, request.max_short_side, allocate=allocate, in_one_step=in_one_step)
    if quick is None or len(quick[0].timestamps) != request.known_frames:
        return None
    found, window, frames = quick
    return found, np.asarray(found.timestamps, np.float64), window, frames


def _read_overview(file: VideoFile, limits: Limits, request: OverviewRequest, allocate: Allocate) -> list[Reading]:
    def choose(timestamps: NDArray[np.float64]) -> Window:
        return Window(np.union1d(_thumbnail_indices(timestamps, request), _spread(timestamps, request)), 1)

    quick = _read_known(file, limits, request, choose, allocate, in_one_step=True)
    if quick is None:
        found = scan_video(file, limits, request.max_short_side, thumbnails=False)
        timestamps = _checked_timestamps(file, limits, found, 0)
        needed = choose(timestamps).indices
        frames = pictures(file, limits, found, needed, allocate=allocate)
    else:
        found, timestamps, window, frames = quick
        needed = window.indices
    stride = fitting_stride(timestamps, 0, request.stride, request.num_frames)
    return [
        _reading(found, timestamps, Window(each, stride), None, frames, np.searchsorted(needed, each))
        for each in (_thumbnail_indices(timestamps, request), *_spread(timestamps, request))
    ]


def _thumbnail_indices(timestamps: NDArray[np.float64], request: OverviewRequest) -> NDArray[np.int64]:
    last = len(timestamps) - 1
    return np.unique(np.linspace(0, last, min(request.thumbnails, last + 1)).round().astype(np.int64))


def _spread(timestamps: NDArray[np.float64], request: OverviewRequest) -> NDArray[np.int64]:
    """[windows or fewer, T]."""
    return np.unique(uniform_clips(timestamps, request.num_frames, request.stride, request.windows), axis=0)


def read_chosen(file: VideoFile, limits: Limits, choose: Choose, max_short_side: int) -> Reading:
    """The frames that a sampler chooses; see `read_frames`."""
    choose = _Once(choose)
    quick = read_window(file, limits, choose, max_short_side)
    if quick is not None:
        found, window, frames = quick
        timestamps = np.asarray(found.timestamps, np.float64)
    else:
        found = scan_video(file, limits, max_short_side, thumbnails=False)
        timestamps = _checked_timestamps(file, limits, found, 0)
        assert found.show is not None
        found.show = replace(found.show, in_one_step=True)
        window = choose(timestamps)
        frames = pictures(file, limits, found, window.indices)
    return _reading(found, timestamps, window, None, frames)


class _Once:
    """A sampler that is asked once for the same times, so that a second reading draws no further random numbers."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._answers: dict[bytes, Window] = {}

    def __call__(self, timestamps: NDArray[np.float64]) -> Window:
        key = timestamps.tobytes()
        if key not in self._answers:
            self._answers[key] = self._choose(timestamps)
        return self._answers[key]


def _checked_timestamps(file: VideoFile, limits: Limits, found: Scan, start: int) -> NDArray[np.float64]:
    count = len(found.timestamps)
    if found.damage.packets and count < 2:
        # The decoder itself refuses pictures over the limit before it takes memory for them, and does not say so.
        or_large = "" if found.size_known else f": damaged, or larger than the limit of {limits.max_pixels:,} pixels"
        raise BrokenVideoError(f"{file.name} is a video, but its pictures cannot be decoded{or_large}.")
    if count - start < 2:
        frames = "1 frame" if count == 1 else f"{count} frames" if count else "no frame"
        from_start = f", too few from frame {start} on" if start and count > 1 else ""
        raise ClipTooShortError(f"{file.name} has {frames}{from_start}; a clip needs at least 2.")
    return np.asarray(found.timestamps, np.float64)


def _reading(
    found: Scan,
    timestamps: NDArray[np.float64],
    window: Window,
    asked_stride: int | None,
    frames: NDArray[np.uint8],
    places: NDArray[Any] | None = None,
) -> Reading:
    assert found.show is not None
    average_interval = float(timestamps[-1] / (len(timestamps) - 1))
    source = ClipSource(
        name="",
        sha256="",
        width=found.show.shown_width,
        height=found.show.shown_height,
        fps=1.0 / average_interval,
        duration=float(timestamps[-1]) + (found.last_duration or average_interval),
        num_frames=len(timestamps),
        codec=found.codec,
        rotation=found.show.rotation,
        dynamic_range=found.dynamic_range,
        variable_frame_rate=is_variable(timestamps),
        stride=window.stride,
        warnings=_warnings(found, window, asked_stride),
    )
    shown = np.arange(len(frames)) if places is None else places
    return Reading(frames, np.asarray(shown, np.int64), timestamps[window.indices], window.indices, source)


def _warnings(found: Scan, window: Window, asked_stride: int | None) -> tuple[str, ...]:
    count = len(found.timestamps)
    sentences = []
    # Where two streams were joined, the first packet of the second one always counts as damaged.
    if found.damage.packets > len(found.jumps):
        sentences.append(f"Parts of the file are damaged; {count} frames could be decoded.")
    elif found.stated_frames > count + max(2, count // 10):
        sentences.append(f"The file says that it has {found.stated_frames} frames; {count} could be decoded.")
    sentences += [_jump_sentence(seconds) for seconds in found.jumps]
    if found.interlaced:
        sentences.append("The video is interlaced; its frames were deinterlaced.")
    if found.dynamic_range != "SDR":
        sentences.append(f"The video is {found.dynamic_range}; its colours were tone-mapped to an ordinary screen's.")
    if unusual := unusual_transfer(found.transfer):
        sentences.append(f"The brightness is stored as {unusual}, which is shown as if it were an ordinary video's.")
    if found.size_changes:
        sentences.append("The picture size changes within the file; all frames were brought to the first one's.")
    if asked_stride is not None and window.stride < asked_stride:
        sentences.append(f"The stride was reduced from {asked_stride} to {window.stride} because the video is short.")
    repeats = int(np.count_nonzero(window.indices == count - 1)) - 1
    if repeats > 0:
        sentences.append(f"The video is short: its last frame is repeated {repeats} time{'s' if repeats > 1 else ''}.")
    return tuple(sentences)


def _jump_sentence(seconds: float) -> str:
    return (
        f"The file's clock jumps {'ahead' if seconds > 0 else 'back'} by {abs(seconds):,.0f} s; "
        "what follows was joined to what comes before."
    )


def check_number(what: str, value: object, least: int, most: int | None = None) -> None:
    """Raises ClipError, naming `what`, for anything but a whole number within these bounds."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ClipError(f"{what} must be a whole number, not {value!r}.")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ClipError(f"{what} must be {bounds}, not {value}.")
