"""Videos made on the spot: every frame carries its own number, so a test can prove which frames it was given.

The upper half of a frame is a bar code of `BITS` equal bars, black or white, most significant first; the lower half
holds a bright square on grey that moves right by two pixels per frame.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BITS = 8


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Where it may, the AV1 encoder gives the thread that uses it the highest real-time priority, for good; all that
    this thread starts from then on would have it, too, and leave nothing else on the machine a turn."""
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameter)


class Videos:
    """Makes files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / name

    @staticmethod
    def numbered(number: int, width: int = 96, height: int = 64) -> np.ndarray:
        """uint8 [H, W, 3] picture that carries `number`."""
        picture = np.full((height, width, 3), 90, np.uint8)
        edges = np.linspace(0, width, BITS + 1).astype(int)
        for bit in range(BITS):
            lit = number >> (BITS - 1 - bit) & 1
            picture[: height // 2, edges[bit] : edges[bit + 1]] = 235 if lit else 20
        side = height // 4
        left = 2 * number % max(1, width - side)
        picture[height * 5 // 8 : height * 5 // 8 + side, left : left + side] = 220
        return picture

    @staticmethod
    def number_of(picture: np.ndarray) -> int:
        """The number that a picture carries, read from the middle of each bar."""
        height, width = picture.shape[:2]
        row = picture[height // 8 : height * 3 // 8].mean(axis=(0, 2))
        number = 0
        for bit in range(BITS):
            middle = (bit + 0.5) * width / BITS
            reach = max(1.0, width / BITS / 6)
            number = number << 1 | int(row[int(middle - reach) : int(middle + reach) + 1].mean() > 128)
        return number

    def numbers_of(self, frames: np.ndarray) -> list[int]:
        return [self.number_of(frame) for frame in frames]

    def write(
        self,
        name: str,
        pictures: Iterable[np.ndarray] | int = 24,
        *,
        size: tuple[int, int] = (96, 64),
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        fps: int = 25,
        times: Sequence[float] | None = None,
        options: dict[str, str] | None = None,
        container: str | None = None,
        container_options: dict[str, str] | None = None,
        source_format: str = "rgb24",
        setup: Callable[[av.VideoStream], None] | None = None,
    ) -> Path:
        """Encode pictures (or that many numbered ones of this (width, height)); `times` are seconds of showing."""
        path = self.path(name)
        if isinstance(pictures, int):
            pictures = [self.numbered(i, *size) for i in range(pictures)]
        with ordinary_priority(), av.open(str(path), "w", format=container, options=container_options or {}) as output:
            stream = None
            for i, picture in enumerate(pictures):
                if stream is None:
                    stream = output.add_stream(codec, rate=fps, options=options or {})
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = pixel_format
                    if times is not None:
                        stream.codec_context.time_base = Fraction(1, 1000)
                    if setup is not None:
                        setup(stream)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=source_format)
                if times is not None:
                    frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path

    def write_bytes(self, name: str, content: bytes) -> Path:
        path = self.path(name)
        path.write_bytes(content)
        return path

    def write_sound(self, name: str, container: str | None = None) -> Path:
        path = self.path(name)
        with av.open(str(path), "w", format=container) as output:
            stream = output.add_stream("aac", rate=16000, layout="mono")
            for i in range(8):
                samples = np.sin(np.arange(1024, dtype=np.float32)[None] * 0.1)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16000, i * 1024
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path

    def with_matrix(self, name: str, original: Path, matrix: tuple[int, int, int, int]) -> Path:
        """A copy of an mp4 file whose track header says (a, b, c, d) of the display matrix."""
        data = bytearray(original.read_bytes())
        header = data.index(b"tkhd") + 4
        place = header + 4 + (32 if data[header] == 1 else 20) + 16
        a, b, c, d = (value << 16 for value in matrix)
        data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        return self.write_bytes(name, bytes(data))


@pytest.fixture
def videos(tmp_path: Path) -> Videos:
    return Videos(tmp_path)
