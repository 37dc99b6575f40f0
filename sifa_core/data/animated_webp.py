"""Frames of animated WebP, which FFmpeg's releases do not read: Pillow, on libwebp, does."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np

from sifa_core.data.limits import Limits
from sifa_core.errors import BrokenVideoError, ClipTooLargeError


def is_animated_webp(head: bytes) -> bool:
    """Whether a file that begins with these 32 bytes says that it is one."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 0x02)


def canvas_size(head: bytes) -> tuple[int, int]:
    """(width, height) that the header states."""
    return tuple(1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))  # type: ignore[return-value]


def webp_frames(name: str, handle: BinaryIO, limits: Limits) -> Iterator[av.VideoFrame]:
    """RGBA frames with their times in milliseconds. Raises BrokenVideoError, ClipTooLargeError.

    Memory: the file and two pictures; the size is checked before anything is decoded.
    """
    from PIL import Image

    handle.seek(0)
    width, height = canvas_size(handle.read(32))
    if width * height > limits.max_pixels:
        raise ClipTooLargeError(
            f"{name} has frames of {width} x {height} pixels, more than the limit of {limits.max_pixels:,}."
        )
    handle.seek(0)
    try:
        with Image.open(handle, formats=["WEBP"]) as image:
            shown: Any = 0
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                frame = av.VideoFrame.from_ndarray(np.asarray(image.convert("RGBA")), format="rgba")
                frame.pts, frame.time_base = round(shown), Fraction(1, 1000)
                frame.duration = round(image.info.get("duration", 0))
                shown += image.info.get("duration", 0)
                yield frame
    except (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenVideoError(f"{name} is an animated WebP whose pictures cannot be decoded.") from error
