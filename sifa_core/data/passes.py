"""The passes over a video's frames: one that looks at all of them, one that makes pictures of the wanted ones.

The first pass decodes from beginning to end, because only decoding tells how many frames there are and when they are
shown. It keeps the frames in their compact decoded form as long as they fit into a fixed budget; the wanted ones of a
longer video are decoded again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sifa_core.data.activity import thumbnail_size
from sifa_core.data.limits import Limits
from sifa_core.data.opening import VideoFile
from sifa_core.data.picture import Presentation, presentation, to_rgb
from sifa_core.errors import BrokenVideoError, ClipTooLargeError

_KEPT_BYTES = 256_000_000


@dataclass
class Survey:
    """What the first pass over a file found."""

    timestamps: list[float] = field(default_factory=list)
    """[N] seconds since the first frame, rising."""
    thumbnails: list[NDArray[np.uint8]] = field(default_factory=list)
    """[N] small grey pictures, if they were asked for."""
    kept: list[av.VideoFrame] | None = field(default_factory=list)
    """[N] the frames themselves; None when they were too large together."""
    show: Presentation | None = None
    codec: str = ""
    stated_frames: int = 0
    last_duration: float = 0.0
    damaged: int = 0
    """Packets and frames that were not whole."""
    size_known: bool = True
    """Whether the file's header could be read for the size of the pictures."""
    size_changes: bool = False


def survey(file: VideoFile, limits: Limits, max_short_side: int, *, thumbnails: bool) -> Survey:
    """Decode everything once. Raises as `VideoFile.stream` does, and ClipTooLargeError where a limit is passed."""
    found = Survey()
    thumbnailer = VideoReformatter()
    kept_bytes = 0
    first_size = (0, 0)
    with file.stream(limits) as (container, stream):
        found.codec = stream.codec_context.name
        found.stated_frames = stream.frames
        found.size_known = stream.codec_context.width > 0
        for frame, seconds in _frames(file, limits, container, stream, found):
            if found.show is None:
                found.show = presentation(frame, stream.sample_aspect_ratio, max_short_side)
                first_size = (frame.width, frame.height)
                _check_shape(file.name, found.show, limits)
            found.size_changes |= (frame.width, frame.height) != first_size
            found.timestamps.append(seconds)
            found.damaged += bool(frame.is_corrupt)
            if frame.duration and frame.time_base:
                found.last_duration = float(frame.duration * frame.time_base)
            if thumbnails:
                found.thumbnails.append(_thumbnail(file.name, frame, first_size, thumbnailer))
            if found.kept is not None:
                kept_bytes += sum(plane.buffer_size for plane in frame.planes)
                found.kept.append(frame)
                if kept_bytes > _KEPT_BYTES:
                    found.kept = None
    return found


def pictures(
    file: VideoFile, limits: Limits, found: Survey, indices: NDArray[np.int64], max_short_side: int | None = None
) -> NDArray[np.uint8]:
    """uint8 [T, H, W, 3] of the frames with these numbers, smaller than `found` says if `max_short_side` is.

    Raises BrokenVideoError, ClipTooLargeError.
    """
    assert found.show is not None
    show = found.show if max_short_side is None else found.show.reduced(max_short_side)
    size = len(indices) * show.height * show.width * 3
    if size > limits.max_clip_bytes:
        raise ClipTooLargeError(
            f"{len(indices)} frames of {file.name} take {size / 1e6:,.1f} MB, "
            f"more than the limit of {limits.max_clip_bytes / 1e6:,.1f} MB."
        )
    frames = np.empty((len(indices), show.height, show.width, 3), np.uint8)
    reformatter = VideoReformatter()
    missing = set(indices.tolist())
    try:
        for index, frame in _numbered(file, limits, found, min(missing)):
            if index in missing:
                frames[indices == index] = to_rgb(frame, show, reformatter)
                missing.discard(index)
            if not missing:
                return frames
    except av.error.FFmpegError as error:
        raise BrokenVideoError(f"{file.name} has pictures of a kind that cannot be shown.") from error
    raise BrokenVideoError(f"{file.name} does not decode to the same frames twice.")


def _numbered(file: VideoFile, limits: Limits, found: Survey, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames and their numbers, from `first` or an earlier one on."""
    if found.kept is not None:
        yield from enumerate(found.kept[first:], first)
        return
    with file.stream(limits) as (container, stream):
        for index, (frame, _) in enumerate(_frames(file, limits, container, stream)):
            yield index, frame


def _frames(
    file: VideoFile,
    limits: Limits,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    found: Survey | None = None,
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Every frame that can be decoded, in order of showing, with its seconds since the first; limits are enforced."""
    context = stream.codec_context
    _check_pixels(file.name, context.width, context.height, limits)
    context.thread_type = "AUTO"
    # More threads hold more frames in memory than they save time.
    context.thread_count = min(8, _available_cores())
    fallback_interval = float(1 / (stream.average_rate or stream.guessed_rate or 30))
    origin: float | None = None
    previous = -fallback_interval
    for index, frame in enumerate(_decoded(file, container, stream, found)):
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
    # To the decoder, a reading that was stopped by the clock looks like the end of the file.
    file.clock.check()


def _decoded(
    file: VideoFile,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    found: Survey | None,
) -> Iterator[av.VideoFrame]:
    """Frames of all packets; damaged packets are counted and passed over."""
    damaged = 0
    for packet, is_last in _packets(file, container, stream):
        damaged += packet is None or packet.is_corrupt
        # The last packet of a file that was cut off is a part of one: with it, threads lose whole frames before it.
        if packet is not None and not (is_last and packet.is_corrupt):
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                damaged += 1
        if found is not None:
            found.damaged += damaged
            damaged = 0


def _packets(
    file: VideoFile, container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[tuple[av.Packet | None, bool]]:
    """(packet, whether it is the last with data); None where the container could not be read on."""
    packets = container.demux(stream)
    waiting: av.Packet | None = None
    while True:
        file.clock.check()
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, IndexError):
            # PyAV's IndexError comes from the end of a stream of packets in which further streams turned up.
            if waiting is not None:
                yield waiting, True
            yield None, True
            return
        if waiting is not None:
            yield waiting, packet is None or packet.size == 0
        if packet is None:
            return
        waiting = packet


def _thumbnail(
    name: str, frame: av.VideoFrame, first_size: tuple[int, int], reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    width, height = thumbnail_size(*first_size)
    try:
        small = reformatter.reformat(frame, width=width, height=height, format="gray", interpolation=Interpolation.AREA)
    except av.error.FFmpegError as error:
        raise BrokenVideoError(f"{name} has pictures of a kind that cannot be shown.") from error
    return np.ascontiguousarray(small.to_ndarray(), np.uint8)


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
