"""The passes over a video's frames: one that looks at all of them, one that makes pictures of the wanted ones.

The first pass decodes from beginning to end, because only decoding tells how many frames there are and when they are
shown. It keeps the frames in their compact decoded form as long as they fit into a fixed budget; the wanted ones of a
longer video are decoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sifa_core.data.animated_webp import is_animated_webp, webp_frames
from sifa_core.data.colour import dynamic_range
from sifa_core.data.container import VideoFile
from sifa_core.data.cropping import NO_CROP, Crop, container_crop
from sifa_core.data.decoding import Damage, decoded
from sifa_core.data.deinterlace import deinterlaced
from sifa_core.data.limits import Limits
from sifa_core.data.motion_energy import thumbnail_size
from sifa_core.data.picture import Presentation, presentation, to_rgb
from sifa_core.data.timing import Timeline
from sifa_core.errors import BrokenVideoError, ClipTooLargeError

Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""shape -> an array for pictures, whatever it holds."""

_FRAME_BYTES = 256_000_000
"""Most that decoded frames may take for the second pass to have them from memory."""
_CLOCK_MAY_JUMP = 0x200
"""FFmpeg's AVFMT_TS_DISCONT."""


@dataclass
class Scan:
    """What the first pass over a file found."""

    timestamps: list[float] = field(default_factory=list)
    """[N] seconds since the first frame, rising."""
    jumps: list[float] = field(default_factory=list)
    """By how many seconds the file's clock was off each time that it was set anew."""
    thumbnails: list[NDArray[np.uint8]] = field(default_factory=list)
    """[N] small grey pictures, if they were asked for."""
    frames: list[av.VideoFrame] | None = field(default_factory=list)
    """[N] the frames themselves; None when they were too large together."""
    show: Presentation | None = None
    codec: str = ""
    stated_frames: int = 0
    last_duration: float = 0.0
    damage: Damage = field(default_factory=Damage)
    size_known: bool = True
    """Whether the file's header could be read for the size of the pictures."""
    size_changes: bool = False
    interlaced: bool = False
    transfer: int = 2
    """Transfer characteristics in the numbers of ITU-T H.273; 2 where the file does not say."""

    @property
    def dynamic_range(self) -> str:
        """ "SDR", "HDR (PQ)" or "HDR (HLG)"."""
        return dynamic_range(self.transfer)


@dataclass
class _Opened:
    """A container that was just opened, and its facts. No container for animated WebP, which FFmpeg does not read."""

    container: InputContainer | None
    stream: VideoStream | None
    timeline: Timeline
    crop: Crop = NO_CROP


def scan_video(file: VideoFile, limits: Limits, max_short_side: int, *, thumbnails: bool) -> Scan:
    """Decode everything once. Raises as `VideoFile.stream` does, and ClipTooLargeError where a limit is passed."""
    found = Scan()
    thumbnailer = VideoReformatter()
    frame_bytes = 0
    first_size = (0, 0)
    timeline = Timeline(1 / 30, may_jump=False)
    for frame, opened in _frames(file, limits, found):
        timeline = opened.timeline
        if found.show is None:
            aspect = None if opened.stream is None else opened.stream.sample_aspect_ratio
            found.show = presentation(frame, aspect, max_short_side, opened.crop)
            first_size = (frame.width, frame.height)
            found.transfer = frame.color_trc
            check_shape(file.name, found.show, limits)
        found.size_changes |= (frame.width, frame.height) != first_size
        found.interlaced |= frame.interlaced_frame
        found.damage.packets += bool(frame.is_corrupt)
        if frame.duration and frame.time_base:
            found.last_duration = float(frame.duration * frame.time_base)
        if thumbnails:
            found.thumbnails.append(_thumbnail(file.name, frame, first_size, thumbnailer))
        if found.frames is not None:
            frame_bytes += sum(plane.buffer_size for plane in frame.planes)
            found.frames.append(frame)
            if frame_bytes > _FRAME_BYTES:
                found.frames = None
    found.timestamps, found.jumps = timeline.seconds, timeline.jumps
    return found


def empty_pictures(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array for pictures in the memory of this process."""
    return np.empty(shape, np.uint8)


def pictures(
    file: VideoFile,
    limits: Limits,
    found: Scan,
    indices: NDArray[np.int64],
    max_short_side: int | None = None,
    *,
    allocate: Allocate = empty_pictures,
) -> NDArray[np.uint8]:
    """uint8 [T, H, W, 3] of the frames with these numbers, smaller than `found` says if `max_short_side` is.

    Raises BrokenVideoError, ClipTooLargeError.
    """
    assert found.show is not None
    show = found.show if max_short_side is None else found.show.reduced(max_short_side)
    check_clip_size(file.name, len(indices), show, limits)
    frames = allocate((len(indices), show.height, show.width, 3))
    reformatter = VideoReformatter()
    missing = set(indices.tolist())
    first, last = min(missing), max(missing)
    numbered = _numbered(file, limits, found, first)
    if found.interlaced:
        around = ((index, frame) for index, frame in numbered if first - 1 <= index)
        numbered = deinterlaced(_until(around, last + 1))
    try:
        for index, frame in numbered:
            if index in missing:
                frames[indices == index] = to_rgb(frame, show, reformatter)
                missing.discard(index)
            if not missing:
                return frames
    except av.error.FFmpegError as error:
        raise BrokenVideoError(f"{file.name} has pictures of a kind that cannot be shown.") from error
    raise BrokenVideoError(f"{file.name} does not decode to the same frames twice.")


def check_clip_size(name: str, count: int, show: Presentation, limits: Limits) -> None:
    """Raises ClipTooLargeError where so many pictures take more memory than the limit."""
    size = count * show.height * show.width * 3
    if size > limits.max_clip_bytes:
        raise ClipTooLargeError(
            f"{count} frames of {name} take {size / 1e6:,.1f} MB, "
            f"more than the limit of {limits.max_clip_bytes / 1e6:,.1f} MB."
        )


def _numbered(file: VideoFile, limits: Limits, found: Scan, first: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames and their numbers, from the one before `first` or an earlier one on."""
    if found.frames is not None:
        before = max(0, first - 1)
        yield from enumerate(found.frames[before:], before)
        return
    for index, (frame, _) in enumerate(_frames(file, limits, Scan())):
        yield index, frame


def _until(frames: Iterator[tuple[int, av.VideoFrame]], last: int) -> Iterator[tuple[int, av.VideoFrame]]:
    for index, frame in frames:
        yield index, frame
        if index >= last:
            return


def _frames(file: VideoFile, limits: Limits, found: Scan) -> Iterator[tuple[av.VideoFrame, _Opened]]:
    """Every frame that can be decoded, in order of showing; limits are enforced, facts of the file filled in."""
    if is_animated_webp(file.head):
        found.codec = "webp"
        opened = _Opened(None, None, Timeline(1 / 25, may_jump=False))
        yield from _timed(file, limits, webp_frames(file.name, file.handle, limits), opened)
    else:
        with file.stream(limits) as (container, stream):
            found.codec = stream.codec_context.name
            found.stated_frames = _stated_frames(container, stream)
            found.size_known = stream.codec_context.width > 0
            opened = _Opened(container, stream, timeline_of(container, stream))
            opened.crop = container_crop(file.handle, container.streams.video.index(stream))
            yield from _timed(file, limits, decoded(file, limits, container, stream, found.damage), opened)


def timeline_of(container: InputContainer, stream: VideoStream) -> Timeline:
    """An empty time line that knows how the stream's clock behaves."""
    interval = float(1 / (stream.average_rate or stream.guessed_rate or 30))
    return Timeline(interval, may_jump=bool(int(container.format.flags) & _CLOCK_MAY_JUMP))


def _timed(
    file: VideoFile, limits: Limits, frames: Iterator[av.VideoFrame], opened: _Opened
) -> Iterator[tuple[av.VideoFrame, _Opened]]:
    for index, frame in enumerate(frames):
        file.clock.check()
        if index >= limits.max_frames:
            raise ClipTooLargeError(f"{file.name} has more frames than the limit of {limits.max_frames:,}.")
        base = frame.time_base
        shown, decoding = (
            float(stamp * base) if stamp is not None and base else None for stamp in (frame.pts, frame.dts)
        )
        if opened.timeline.add(shown, decoding) > limits.max_seconds:
            raise ClipTooLargeError(f"{file.name} is longer than the limit of {limits.max_seconds:g} s.")
        yield frame, opened
    # To the decoder, a reading that was stopped by the clock looks like the end of the file.
    file.clock.check()


def _stated_frames(container: InputContainer, stream: VideoStream) -> int:
    """How many frames the file says that it shows; 0 if it does not say. What an edit list cuts off is not shown."""
    entries = stream.index_entries if container.format.name.startswith("mov") and stream.frames else ()
    return sum(not entry.is_discard for entry in entries) or int(stream.frames)


def _thumbnail(
    name: str, frame: av.VideoFrame, first_size: tuple[int, int], reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    width, height = thumbnail_size(*first_size)
    try:
        small = reformatter.reformat(frame, width=width, height=height, format="gray", interpolation=Interpolation.AREA)
    except av.error.FFmpegError as error:
        raise BrokenVideoError(f"{name} has pictures of a kind that cannot be shown.") from error
    return np.ascontiguousarray(small.to_ndarray(), np.uint8)


def check_shape(name: str, show: Presentation, limits: Limits) -> None:
    """Raises ClipTooLargeError for pictures that are too long for their width."""
    sides = sorted((show.shown_width, show.shown_height))
    if sides[1] > limits.max_aspect_ratio * sides[0]:
        raise ClipTooLargeError(
            f"{name} is shown at {show.shown_width} x {show.shown_height}, "
            f"more than the limit of {limits.max_aspect_ratio:g} times as long as wide."
        )
