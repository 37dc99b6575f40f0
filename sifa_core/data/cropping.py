"""Cropping that a container asks for: Matroska's PixelCrop and the clean aperture of MP4 and QuickTime.

FFmpeg leaves it to the player. Only the headers are read, within fixed bounds, and nonsense means no cropping.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_HEADER = 1 << 24
_MOST_ELEMENTS = 4096


@dataclass(frozen=True)
class Crop:
    """Pixels to leave out at each side of the stored picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def fits(self, width: int, height: int) -> bool:
        """Whether something is left of a picture of this size."""
        sides = (self.left, self.top, self.right, self.bottom)
        return min(sides) >= 0 and self.left + self.right < width and self.top + self.bottom < height


NO_CROP = Crop()


def container_crop(handle: BinaryIO, video_track: int) -> Crop:
    """What the file asks for its video track with this number, counted from 0 among video tracks.

    The handle is where it was afterwards: FFmpeg reads from it, too.
    """
    position = handle.tell()
    handle.seek(0)
    head = handle.read(12)
    try:
        if head[:4] == b"\x1a\x45\xdf\xa3":
            crops = list(_matroska_crops(handle))
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            crops = list(_mp4_crops(handle))
        else:
            return NO_CROP
    except (OSError, OverflowError, ValueError, struct.error):
        return NO_CROP
    finally:
        handle.seek(position)
    return crops[video_track] if video_track < len(crops) else NO_CROP


# Matroska: an element is an identifier, a size, and so many bytes (RFC 8794).
_SEGMENT, _TRACKS, _CLUSTER, _TRACK, _TYPE, _VIDEO = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE, 0x83, 0xE0
_CROPS = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}


def _matroska_crops(handle: BinaryIO) -> Iterator[Crop]:
    end = handle.seek(0, os.SEEK_END)
    position = 0
    for _ in range(_MOST_ELEMENTS):
        if position >= end:
            return
        handle.seek(position)
        head = handle.read(12)
        identifier, used = _number(head, 0, keep_marker=True)
        size, used = _number(head, used, keep_marker=False)
        if identifier == _SEGMENT:
            position += used
        elif identifier == _TRACKS:
            handle.seek(position + used)
            yield from _track_crops(handle.read(min(size, _MOST_HEADER)))
            return
        elif size < 0:  # of unknown length, which only live streams have
            return
        else:
            position += used + size


def _track_crops(tracks: bytes) -> Iterator[Crop]:
    for identifier, content in _elements(tracks):
        if identifier != _TRACK:
            continue
        parts = dict(_elements(content))
        if int.from_bytes(parts.get(_TYPE, b""), "big") == 1:
            video = dict(_elements(parts.get(_VIDEO, b"")))
            yield Crop(**{side: int.from_bytes(video.get(key, b"")[:8], "big") for key, side in _CROPS.items()})


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        identifier, position = _number(data, position, keep_marker=True)
        size, position = _number(data, position, keep_marker=False)
        if size < 0:
            return
        yield identifier, data[position : position + size]
        position += size


def _number(data: bytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length and the position behind it; -1 for a size that is unknown. Raises ValueError."""
    if position >= len(data) or not data[position]:
        raise ValueError("no number of variable length")
    length = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + length], "big")
    if not keep_marker:
        value -= 1 << 7 * length
        value = -1 if value == (1 << 7 * length) - 1 else value
    return value, position + length


def _mp4_crops(handle: BinaryIO) -> Iterator[Crop]:
    end = handle.seek(0, os.SEEK_END)
    position = 0
    for _ in range(_MOST_ELEMENTS):
        if position + 8 > end:
            return
        handle.seek(position)
        kind, start, size = _box(handle.read(16), 0, end - position)
        if kind == b"moov":
            handle.seek(position + start)
            movie = handle.read(min(size - start, _MOST_HEADER))
            for kind, track in _boxes(movie):
                media = _inside(track, b"mdia") if kind == b"trak" else b""
                if _inside(media, b"hdlr")[8:12] in (b"vide", b"pict", b"auxv"):
                    yield _clean_aperture(_inside(_inside(_inside(media, b"minf"), b"stbl"), b"stsd"))
            return
        position += size


def _clean_aperture(descriptions: bytes) -> Crop:
    """From a sample description box: 8 bytes, then an entry of 8 + 78 bytes that ends in boxes."""
    entry = descriptions[8:]
    if len(entry) < 86:
        return NO_CROP
    width, height = struct.unpack(">HH", entry[32:36])
    aperture = _inside(entry[86 : int.from_bytes(entry[:4], "big")], b"clap")
    if len(aperture) < 32:
        return NO_CROP
    numbers = struct.unpack(">4I4i", aperture[:16] + aperture[16:32])
    wide, high = numbers[0] / max(1, numbers[1]), numbers[2] / max(1, numbers[3])
    across, down = numbers[4] / max(1, numbers[5]), numbers[6] / max(1, numbers[7])
    if not 1 <= wide <= width or not 1 <= high <= height:
        return NO_CROP
    left, top = round((width - wide) / 2 + across), round((height - high) / 2 + down)
    return Crop(left, top, width - left - round(wide), height - top - round(high))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        kind, start, size = _box(data, position, len(data) - position)
        yield kind, data[position + start : position + size]
        position += size


def _inside(data: bytes, kind: bytes) -> bytes:
    """The content of the first box of this kind; empty without one."""
    return next((content for found, content in _boxes(data) if found == kind), b"")


def _box(data: bytes, position: int, left: int) -> tuple[bytes, int, int]:
    """Kind, length of the header and of the whole of a box. Raises ValueError."""
    size, start = int.from_bytes(data[position : position + 4], "big"), 8
    if size == 1:
        size, start = int.from_bytes(data[position + 8 : position + 16], "big"), 16
    size = left if size == 0 else size
    if size < start:
        raise ValueError("a box smaller than its own header")
    return data[position + 4 : position + 8], start, size
