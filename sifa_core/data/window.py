"""Decodes only what a sample needs: from the key picture before each wanted frame to that frame.

What decoding everything would give is known from the packets alone in files whose every packet holds one picture with
a presentation time of its own. Of other files nothing is assumed: they are decoded from beginning to end (scan.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sifa_core.data.animated_webp import is_animated_webp
from sifa_core.data.container import VideoFile
from sifa_core.data.cropping import container_crop
from sifa_core.data.decoding import check_pixels
from sifa_core.data.limits import Limits
from sifa_core.data.picture import presentation, to_rgb
from sifa_core.data.sampling import Window
from sifa_core.data.scan import Allocate, Scan, check_clip_size, check_shape, empty_pictures, timeline_of

_CODECS = frozenset(("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "vp8", "vp9", "libdav1d", "av1", "mjpeg"))
_SKIPPABLE = frozenset(("h264", "mpeg4", "mpeg2video", "mpeg1video"))
"""Codecs that say of a picture that no other one, whichever layer it is of, refers to it."""


@dataclass(frozen=True)
class _Packet:
    """What is known of a packet without decoding it."""

    pts: int
    dts: int | None
    is_key: bool
    is_shown: bool
    duration: int


class _NotPlainError(Exception):
    """The packets do not tell for certain what decoding everything would give."""


def read_window(
    file: VideoFile,
    limits: Limits,
    choose: Callable[[NDArray[np.float64]], Window],
    max_short_side: int,
    *,
    allocate: Allocate = empty_pictures,
    in_one_step: bool = True,
) -> tuple[Scan, Window, NDArray[np.uint8]] | None:
    """The frames that `choose` takes, those of `scan_video` and `pictures`; None where only these two can tell.

    `choose` may have been called with the right times before None is given. Pictures are made smaller and brought to
    RGB `in_one_step`, which is quicker, or in two as `pictures` does; they lie in what `allocate` makes.
    Raises as `VideoFile.stream` does, and ClipTooLargeError.
    """
    if is_animated_webp(file.head):
        return None
    with file.stream(limits) as (container, stream):
        try:
            return _read(file, limits, container, stream, choose, max_short_side, allocate, in_one_step)
        except (_NotPlainError, av.error.FFmpegError):
            # A file that was stopped by the clock ends early, too.
            file.clock.check()
            return None


def _read(
    file: VideoFile,
    limits: Limits,
    container: InputContainer,
    stream: VideoStream,
    choose: Callable[[NDArray[np.float64]], Window],
    max_short_side: int,
    allocate: Allocate,
    in_one_step: bool,
) -> tuple[Scan, Window, NDArray[np.uint8]]:
    context = stream.codec_context
    check_pixels(file.name, context.width, context.height, limits)
    packets = _packets(file, limits, container, stream)
    shown = sorted((packet.pts, number) for number, packet in enumerate(packets) if packet.is_shown)
    timeline = timeline_of(container, stream)
    assert stream.time_base is not None
    numerator, denominator = stream.time_base.as_integer_ratio()
    for pts, _ in shown:
        timeline.add(pts * numerator / denominator, None)  # what a fraction would give, in a tenth of its time
    if len(shown) < 2 or timeline.jumps or timeline.seconds[-1] > limits.max_seconds:
        raise _NotPlainError
    last = packets[shown[-1][1]].duration * numerator / denominator
    found = Scan(timestamps=timeline.seconds, codec=context.name, frames=None, last_duration=last)
    window = choose(np.asarray(found.timestamps, np.float64))
    wanted = {shown[index][0]: index for index in set(window.indices.tolist())}
    crop = container_crop(file.handle, container.streams.video.index(stream))
    frames: NDArray[np.uint8] | None = None
    reformatter = VideoReformatter()
    for frame in _decoded(file, container, stream, packets, sorted(shown[index][1] for index in wanted.values())):
        if (frame.width, frame.height) != (context.width, context.height) or frame.interlaced_frame or frame.is_corrupt:
            raise _NotPlainError
        if frames is None:
            found.show = presentation(frame, stream.sample_aspect_ratio, max_short_side, crop, in_one_step=in_one_step)
            found.transfer = frame.color_trc
            check_shape(file.name, found.show, limits)
            check_clip_size(file.name, len(window.indices), found.show, limits)
            frames = allocate((len(window.indices), found.show.height, found.show.width, 3))
        assert found.show is not None
        index = wanted.pop(frame.pts)
        frames[window.indices == index] = to_rgb(frame, found.show, reformatter)
    if wanted or frames is None:
        raise _NotPlainError
    return found, window, frames


def _packets(file: VideoFile, limits: Limits, container: InputContainer, stream: VideoStream) -> list[_Packet]:
    """All packets in the order of decoding. Raises _NotPlainError where they do not tell everything."""
    name = stream.codec_context.name
    if name not in _CODECS or not container.format.name.startswith(("mov", "matroska")):
        raise _NotPlainError
    packets: list[_Packet] = []
    for packet in container.demux(stream):
        if not packet.size:
            continue
        file.clock.check()
        if packet.pts is None or packet.is_corrupt or len(packets) >= limits.max_frames or not _is_whole(name, packet):
            raise _NotPlainError
        packets.append(_Packet(packet.pts, packet.dts, packet.is_keyframe, not packet.is_discard, packet.duration or 0))
    stamps = [packet.pts for packet in packets]
    in_order = all(after > before for before, after in pairwise(stamps))
    if (
        len(set(stamps)) != len(stamps)
        or not stamps
        or not packets[0].is_key
        or min(stamps) != stamps[0]
        or (in_order and stream.codec_context.has_b_frames)
    ):
        raise _NotPlainError
    return packets


def _is_whole(codec: str, packet: av.Packet) -> bool:
    """Whether a packet holds one picture that is shown, and no transparency beside it."""
    if codec not in ("vp8", "vp9"):
        return True
    if packet.has_sidedata("matroska_block_additional"):
        return False
    data = memoryview(packet)
    first, last = data[0], data[-1]
    if codec == "vp8":
        return bool(first & 0x10)
    # Several pictures in one packet end with the one that is shown.
    several, again, visible = last & 0xE0 == 0xC0, first & 0x08, first & 0x02
    return first & 0xF0 != 0xB0 and bool(several or again or visible)


def _decoded(
    file: VideoFile, container: InputContainer, stream: VideoStream, packets: list[_Packet], wanted: list[int]
) -> Iterator[av.VideoFrame]:
    """The frames of the packets with these numbers. Raises _NotPlainError where one does not come."""
    context: Any = stream.codec_context
    context.thread_type, context.thread_count = "NONE", 1
    starts: dict[int, list[int]] = {}
    for number in wanted:
        start = next(i for i in range(number, -1, -1) if packets[i].is_key and packets[i].pts <= packets[number].pts)
        starts.setdefault(start, []).append(number)
    for start, numbers in starts.items():
        missing = {packets[number].pts for number in numbers}
        key = packets[start]
        container.seek(key.dts if key.dts is not None else key.pts, stream=stream, backward=True)
        position = -1
        for packet in container.demux(stream):
            file.clock.check()
            if position < 0 and packet.pts != key.pts:
                if packet.pts is None or packet.pts > key.pts:
                    break
                continue
            position = start if position < 0 else position + 1
            if packet.size and packet.pts != packets[position].pts:
                raise _NotPlainError
            # A picture that is not wanted and that no other one refers to need not be decoded.
            spare = context.name in _SKIPPABLE and packet.pts not in missing
            context.skip_frame = "NONREF" if spare else "DEFAULT"
            for frame in _decode(context, packet if packet.size else None):
                if frame.pts in missing:
                    missing.discard(frame.pts)
                    yield frame
            if not missing:
                break
            if position >= max(numbers) and packet.size:
                for frame in _decode(context, None):
                    if frame.pts in missing:
                        missing.discard(frame.pts)
                        yield frame
                break
        if missing:
            raise _NotPlainError


def _decode(context: Any, packet: av.Packet | None) -> list[av.VideoFrame]:
    """Frames that come out when a packet goes in; the rest of them for None."""
    return list(context.decode(packet))
