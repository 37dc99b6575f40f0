"""Writing pictures as an MP4 file that browsers and presentations play."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from numpy.typing import NDArray

CODECS = ("libx264", "libopenh264", "mpeg4")
"""The first of these that the installed FFmpeg can write with is used."""


def write_mp4(
    target: Path | BinaryIO,
    pictures: Iterable[NDArray[np.uint8]],
    fps: int,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write RGB pictures [H, W, 3] of one size with even sides, `fps` a second, to a path or an open binary file.

    `metadata` are tags of the container, such as its title. Raises OSError where nothing can be written.
    """
    with av.open(str(target) if isinstance(target, Path) else target, "w", format="mp4") as container:
        container.metadata.update(metadata or {})
        stream: av.VideoStream | None = None
        for picture in pictures:
            if stream is None:
                stream = _stream(container, fps, *picture.shape[:2])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())


def _stream(container: av.container.OutputContainer, fps: int, height: int, width: int) -> av.VideoStream:
    codec = next(name for name in CODECS if name in av.codecs_available)
    options = {"crf": "20", "preset": "veryfast"} if codec == "libx264" else {}
    stream = cast(av.VideoStream, container.add_stream(codec, rate=Fraction(fps), options=options))
    stream.thread_count = 1  # pictures this small gain nothing from more
    stream.height, stream.width = height, width
    stream.pix_fmt = "yuv420p"
    if codec == "mpeg4":
        stream.bit_rate = 2_000_000
    return stream
