"""From packets to frames: whatever can be decoded, in order of showing, with transparency where the file has some."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import av.container
import av.error
import av.video.stream
import numpy as np

from sifa_core.data.container import VideoFile, decoder_options, too_much_memory
from sifa_core.data.limits import Limits
from sifa_core.errors import ClipTooLargeError


@dataclass
class Damage:
    """Counts what was not whole."""

    packets: int = 0


def decoded(
    file: VideoFile,
    limits: Limits,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    damage: Damage,
) -> Iterator[av.VideoFrame]:
    """Frames of all packets; damaged packets are counted and passed over. The pixel limit is enforced."""
    context = stream.codec_context
    check_pixels(file.name, context.width, context.height, limits)
    context.thread_type = "AUTO"
    # More threads hold more frames in memory than they save time.
    context.thread_count = min(8, _available_cores())
    alpha = AlphaDecoder(context.name, limits) if context.name in ("vp8", "vp9") else None
    for packet, is_last in _packets(file, container, stream):
        damage.packets += packet is None or packet.is_corrupt
        # The last packet of a file that was cut off is a part of one: with it, threads lose whole frames before it.
        if packet is None or (is_last and packet.is_corrupt):
            continue
        try:
            if alpha is not None:
                alpha.take(packet)
            for frame in packet.decode():
                check_pixels(file.name, frame.width, frame.height, limits)
                yield frame if alpha is None else alpha.give(frame)
        except av.error.EOFError:
            return
        except MemoryError as error:  # want of memory is no damage of the file: pictures would be missing
            raise too_much_memory(file.name) from error
        except av.error.FFmpegError:
            damage.packets += 1


def check_pixels(name: str, width: int, height: int, limits: Limits) -> None:
    """Raises ClipTooLargeError for pictures over the limit."""
    if width * height > limits.max_pixels:
        raise ClipTooLargeError(
            f"{name} has frames of {width} x {height} pixels, more than the limit of {limits.max_pixels:,}."
        )


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
        except MemoryError as error:
            raise too_much_memory(file.name) from error
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


class AlphaDecoder:
    """Transparency of VP8 and VP9 in WebM: a second picture beside each packet, whose luma is the opacity."""

    def __init__(self, codec: str, limits: Limits) -> None:
        self._context: Any = av.CodecContext.create(codec, "r")
        self._context.options = decoder_options(limits)
        self._context.thread_count = 1  # so that every packet gives its picture at once
        self._waiting: dict[int | None, av.VideoFrame] = {}

    def take(self, packet: av.Packet) -> None:
        """Decode what lies beside a packet. Raises FFmpegError."""
        if not packet.has_sidedata("matroska_block_additional"):
            return
        # Eight bytes say which kind of addition it is; 1 is the codec's own.
        beside = bytes(packet.get_sidedata("matroska_block_additional"))
        if int.from_bytes(beside[:8], "big") == 1:
            for picture in self._context.decode(av.Packet(beside[8:])):
                self._waiting[packet.pts] = picture

    def give(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with its transparency; itself where it has none."""
        opacity = self._waiting.pop(frame.pts, None)
        size = (frame.width, frame.height)
        if frame.format.name != "yuv420p" or opacity is None or (opacity.width, opacity.height) != size:
            return frame
        both = av.VideoFrame(*size, "yuva420p")
        for source, target in zip([*frame.planes, opacity.planes[0]], both.planes, strict=True):
            rows = np.zeros((target.height, target.line_size), np.uint8)
            stored = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)
            rows[:, : target.width] = stored[: target.height, : target.width]
            target.update(rows.tobytes())
        both.pts, both.time_base, both.duration = frame.pts, frame.time_base, frame.duration
        both.colorspace, both.color_range = frame.colorspace, frame.color_range
        return both


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
