"""`read_clip`: from a video file to a `Clip`, exact to the frame and bounded in time and memory.

The file is decoded once from beginning to end, because only decoding tells how many frames there are and when they
are shown. Frames are kept in their compact decoded form as long as they fit into a fixed budget; the wanted ones are
then turned into RGB. A longer video is decoded a second time up to the last wanted frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sifa_core.data.activity import motion_between, thumbnail_size
from sifa_core.data.clip import Clip, ClipSource
from sifa_core.data.limits import Limits
from sifa_core.data.opening import VideoFile, display_name, open_file
from sifa_core.data.picture import Presentation, presentation, to_rgb
from sifa_core.data.sampling import Window, auto_window, frame_interval, is_variable
from sifa_core.errors import BrokenVideoError, ClipError, ClipTooLargeError, ClipTooShortError

_KEPT_BYTES = 256_000_000
_MOST_FRAMES = 256

Choose = Callable[[NDArray[np.float64], NDArray[np.float64]], Window]
"""(timestamps [N], motion [N]) -> the wanted frames. Without a motion measurement all motion is zero."""


@dataclass
class _Survey:
    """What the first pass over a file found."""

    timestamps: list[float] = field(default_factory=list)
    thumbnails: list[NDArray[np.uint8]] = field(default_factory=list)
    kept: list[av.VideoFrame] | None = field(default_factory=list)
    show: Presentation | None = None
    codec: str = ""
    stated_frames: int = 0
    last_duration: float = 0.0
    errors: int = 0
    damaged: int = 0
    size_changes: bool = False


def read_clip(
    path: str | os.PathLike[str],
    num_frames: int = 16,
    *,
    start: int | None = None,
    stride: int | Literal["auto"] = "auto",
    max_short_side: int = 720,
    limits: Limits | None = None,
) -> Clip:
    """Read `num_frames` frames of a video.

    start           first frame, as a source frame number; None takes the window that moves most
    stride          source frames from one frame of the clip to the next; "auto" picks it so that motion is visible
    max_short_side  larger pictures are reduced to this many pixels on their short side

    A stride that does not fit is reduced; a video that is still too short has its last frame repeated. Both are told
    in `clip.source.warnings`. Where the frame rate varies, a stride means that many average frame intervals.

    Raises ClipNotFoundError, NotAVideoError, NoVideoStreamError, BrokenVideoError, ClipTooShortError (fewer than two
    frames from `start` on), ClipTooLargeError (a limit is passed) and ClipError (an argument makes no sense).
    """
    _check("num_frames", num_frames, 1, _MOST_FRAMES)
    _check("max_short_side", max_short_side, 1, 1 << 14)
    if start is not None:
        _check("start", start, 0, None)
    if stride != "auto":
        _check("stride", stride, 1, None)

    def choose(timestamps: NDArray[np.float64], motion: NDArray[np.float64]) -> Window:
        return auto_window(timestamps, motion, num_frames, start=start, stride=stride)

    asked = None if stride == "auto" else int(stride)
    needs_motion = start is None or stride == "auto"
    return _read(path, choose, start or 0, asked, needs_motion, max_short_side, limits or Limits())


def read_frames(
    path: str | os.PathLike[str],
    choose: Choose,
    *,
    max_short_side: int = 720,
    limits: Limits | None = None,
) -> Clip:
    """Read the frames that `choose(timestamps, motion)` names, without measuring motion (it is given as zeros).

    For training and evaluation, where a sampler chooses. Raises as `read_clip` does.
    """
    _check("max_short_side", max_short_side, 1, 1 << 14)
    return _read(path, choose, 0, None, False, max_short_side, limits or Limits())


def _read(
    path: str | os.PathLike[str],
    choose: Choose,
    start: int,
    asked_stride: int | None,
    needs_motion: bool,
    max_short_side: int,
    limits: Limits,
) -> Clip:
    with open_file(path, limits) as file:
        survey = _survey(file, limits, needs_motion, max_short_side)
        count = len(survey.timestamps)
        if count - start < 2:
            _raise_too_short(file.name, count, start, survey)
        assert survey.show is not None
        timestamps = np.asarray(survey.timestamps, np.float64)
        motion = motion_between(survey.thumbnails) if needs_motion else np.zeros(count)
        window = choose(timestamps, motion)
        frames = _pictures(file, limits, survey, window.indices)
    interval = frame_interval(timestamps)
    source = ClipSource(
        name=display_name(path),
        sha256=file.sha256,
        width=survey.show.shown_width,
        height=survey.show.shown_height,
        fps=1.0 / interval,
        duration=float(timestamps[-1]) + (survey.last_duration or interval),
        num_frames=count,
        codec=survey.codec,
        rotation=survey.show.rotation,
        variable_frame_rate=is_variable(timestamps),
        stride=window.stride,
        warnings=_warnings(survey, window, asked_stride),
    )
    return Clip(frames, timestamps[window.indices], window.indices, source)


def _survey(file: VideoFile, limits: Limits, needs_motion: bool, max_short_side: int) -> _Survey:
    """Decode everything once: time stamps, thumbnails, and the frames themselves while they fit."""
    survey = _Survey()
    thumbnailer = VideoReformatter()
    kept_bytes = 0
    first_size = (0, 0)
    with file.stream() as (container, stream):
        survey.codec = stream.codec_context.name
        survey.stated_frames = stream.frames
        for frame, seconds in _frames(file, limits, container, stream, survey):
            if survey.show is None:
                survey.show = presentation(frame, stream.sample_aspect_ratio, max_short_side)
                first_size = (frame.width, frame.height)
                _check_shape(file.name, survey.show, limits)
            survey.size_changes |= (frame.width, frame.height) != first_size
            survey.timestamps.append(seconds)
            survey.damaged += bool(frame.is_corrupt)
            if needs_motion:
                width, height = thumbnail_size(*first_size)
                small = thumbnailer.reformat(
                    frame, width=width, height=height, format="gray", interpolation=Interpolation.AREA
                )
                survey.thumbnails.append(np.ascontiguousarray(small.to_ndarray()))
            if survey.kept is not None:
                kept_bytes += sum(plane.buffer_size for plane in frame.planes)
                survey.kept.append(frame)
                if kept_bytes > _KEPT_BYTES:
                    survey.kept = None
            if frame.duration and frame.time_base:
                survey.last_duration = float(frame.duration * frame.time_base)
    return survey


def _frames(
    file: VideoFile,
    limits: Limits,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    survey: _Survey | None = None,
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Every frame that can be decoded, in order of showing, with its seconds since the first; limits are enforced."""
    context = stream.codec_context
    _check_pixels(file.name, context.width, context.height, limits)
    context.thread_type = "AUTO"
    # More threads hold more frames in memory than they save time.
    context.thread_count = min(
        8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    context.options = {"max_pixels": str(limits.max_pixels)}
    fallback_interval = float(1 / (stream.average_rate or stream.guessed_rate or 30))
    origin: float | None = None
    previous = -fallback_interval
    for index, frame in enumerate(_decoded(file, container, stream, survey)):
        file.clock.check()
        _check_pixels(file.name, frame.width, frame.height, limits)
        if index >= limits.max_frames:
            raise ClipTooLargeError(f"{file.name} has more frames than the limit of {limits.max_frames:,}.")
        stamp = frame.pts if frame.pts is not None else frame.dts
        seconds = None
        if stamp is not None and frame.time_base:
            absolute = float(stamp * frame.time_base)
            origin = absolute - (previous + fallback_interval) if origin is None else origin
            seconds = absolute - origin
        # Without a stamp, or with one that goes back, the frame follows the one before it.
        if seconds is None or (index and seconds <= previous):
            seconds = previous + fallback_interval
        if seconds > limits.max_seconds:
            raise ClipTooLargeError(f"{file.name} is longer than the limit of {limits.max_seconds:g} s.")
        previous = seconds
        yield frame, seconds


def _decoded(
    file: VideoFile,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    survey: _Survey | None,
) -> Iterator[av.VideoFrame]:
    """Frames of all packets; damaged packets are counted and passed over."""
    packets = container.demux(stream)
    while True:
        file.clock.check()
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            file.clock.check()
            if survey is not None:
                survey.errors += 1
            return
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            if survey is not None:
                survey.errors += 1


def _pictures(file: VideoFile, limits: Limits, survey: _Survey, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """uint8 [T, H, W, 3] of the frames with these numbers."""
    assert survey.show is not None
    show = survey.show
    frames = np.empty((len(indices), show.height, show.width, 3), np.uint8)
    reformatter = VideoReformatter()
    if survey.kept is not None:
        for index in np.unique(indices):
            frames[indices == index] = to_rgb(survey.kept[index], show, reformatter)
        return frames
    wanted = set(indices.tolist())
    missing = set(wanted)
    with file.stream() as (container, stream):
        for index, (frame, _) in enumerate(_frames(file, limits, container, stream)):
            if index in wanted:
                frames[indices == index] = to_rgb(frame, show, reformatter)
                missing.discard(index)
            if not missing:
                return frames
    raise BrokenVideoError(f"{file.name} changed while it was being read.")


def _warnings(survey: _Survey, window: Window, asked_stride: int | None) -> tuple[str, ...]:
    count = len(survey.timestamps)
    found = []
    if survey.errors or survey.damaged:
        found.append(f"Parts of the file are damaged; {count} frames could be decoded.")
    elif survey.stated_frames > count + max(2, count // 10):
        found.append(f"The file says that it has {survey.stated_frames} frames; {count} could be decoded.")
    if survey.size_changes:
        found.append("The picture size changes within the file; all frames were brought to the first one's.")
    if asked_stride is not None and window.stride < asked_stride:
        found.append(f"The stride was reduced from {asked_stride} to {window.stride} because the video is short.")
    repeats = int(np.count_nonzero(window.indices == count - 1)) - 1
    if repeats > 0 and len(window.indices) > 1:
        found.append(f"The video is short: its last frame is repeated {repeats} time{'s' if repeats > 1 else ''}.")
    return tuple(found)


def _raise_too_short(name: str, count: int, start: int, survey: _Survey) -> None:
    if survey.errors and count < 2:
        raise BrokenVideoError(f"{name} is a video, but its pictures cannot be decoded.")
    frames = "1 frame" if count == 1 else f"{count} frames" if count else "no frame"
    from_start = f", too few from frame {start} on" if start else ""
    raise ClipTooShortError(f"{name} has {frames}{from_start}; a clip needs at least 2.")


def _check_pixels(name: str, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise ClipTooLargeError(
            f"{name} has frames of {width} x {height} pixels, more than the limit of {limits.max_pixels:,}."
        )


def _check_shape(name: str, show: Presentation, limits: Limits) -> None:
    sides = sorted((show.shown_width, show.shown_height))
    if sides[1] > limits.max_aspect_ratio * sides[0]:
        raise ClipTooLargeError(
            f"{name} is shown at {show.shown_width} x {show.shown_height}, "
            f"more than the limit of {limits.max_aspect_ratio:g} times as long as wide."
        )


def _check(what: str, value: int, least: int, most: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ClipError(f"{what} must be a whole number, not {value!r}.")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ClipError(f"{what} must be {bounds}, not {value}.")
