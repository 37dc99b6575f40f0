"""Makes small videos of kinds that readers get wrong. Pictures are those of `Videos.numbered`: each carries its number.

Every maker takes a `Videos` and gives the file's path.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

from tests.data.conftest import Videos

B_FRAMES = {"bf": "3", "g": "12", "preset": "veryfast"}
Maker = Callable[[Videos], Path]


def encode(stream, pictures: Sequence[np.ndarray], source_format: str = "rgb24") -> list[av.Packet]:
    """Packets of all pictures, not yet written."""
    packets = []
    for picture in pictures:
        packets += stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=source_format))
    return packets + stream.encode()


def numbered(numbers, width: int = 96, height: int = 64) -> list[np.ndarray]:
    return [Videos.numbered(number, width, height) for number in numbers]


def tracks(name: str, *parts: tuple[Sequence[np.ndarray], int], codec: str = "libx264") -> Maker:
    """Several video tracks: (pictures, disposition) each."""

    def make(videos):
        path = videos.path(name)
        with av.open(str(path), "w") as output:
            streams = [output.add_stream(codec, rate=25, options={"g": "12"}) for _ in parts]
            for stream, (pictures, disposition) in zip(streams, parts, strict=True):
                stream.pix_fmt, stream.disposition = "yuv420p", disposition
                stream.height, stream.width = pictures[0].shape[:2]
            for stream, (pictures, _) in zip(streams, parts, strict=True):
                for packet in encode(stream, pictures):
                    output.mux(packet)
        return path

    return make


def plain(name: str, codec: str, count: int = 24, size: tuple[int, int] = (96, 64), **settings) -> Maker:
    return lambda videos: videos.write(name, count, size=size, codec=codec, **settings)


def packed(name: str, count: int = 24) -> Maker:
    """MPEG-4 as DivX packed it: a P picture shares its packet with the B picture before it; an empty one follows."""

    def make(videos):
        whole = videos.write("whole.m4v", count, codec="mpeg4", options={"bf": "1", "g": "300"}, container="m4v")
        with av.open(str(whole)) as source:
            pictures = [bytes(packet) for packet in source.demux(video=0) if packet.size]
        header = pictures[0].index(b"\x00\x00\x01\xb6")
        divx = b"\x00\x00\x01\xb2DivX503b1393p"
        kinds = [picture[picture.index(b"\x00\x00\x01\xb6") + 4] >> 6 for picture in pictures]
        empty = b"\x00\x00\x01\xb6" + bytes([0x50, 0x7F])
        contents: list[bytes] = []
        i = 0
        while i < len(pictures):
            both = i + 1 < len(pictures) and kinds[i + 1] == 2
            contents += [pictures[i] + pictures[i + 1], empty] if both else [pictures[i]]
            i += 2 if both else 1
        contents[0] = contents[0][:header] + divx + contents[0][header:]
        path = videos.path(name)
        with av.open(str(path), "w") as output:
            stream = output.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.codec_context.extradata = pictures[0][:header]
            for number, content in enumerate(contents):
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                packet.pts = packet.dts = number
                packet.is_keyframe = number == 0
                output.mux(packet)
        return path

    return make


def colour(name: str, codec: str, planes: tuple[int, int, int], tags: dict[str, int], pixel_format: str) -> Maker:
    """One Y'CbCr colour all over, tagged; four frames."""

    def make(videos):
        path = videos.path(name)
        with av.open(str(path), "w") as output:
            options = {"crf": "4"} if codec in ("libx264", "libx265") else {}
            if codec == "libx265":
                options["x265-params"] = "log-level=none"
            stream = output.add_stream(codec, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
            context = stream.codec_context
            for key, value in tags.items():
                setattr(context, key, value)
            deep = "10" in pixel_format
            for _ in range(4):
                frame = av.VideoFrame(96, 64, pixel_format)
                for plane, value in zip(frame.planes, planes, strict=True):
                    rows = np.full(
                        (plane.height, plane.line_size // (2 if deep else 1)), value, "<u2" if deep else "u1"
                    )
                    plane.update(rows.tobytes())
                for key, value in tags.items():
                    setattr(frame, key, value)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path

    return make


def transparent(name: str, codec: str, hidden: tuple[int, int, int], opacity: int = 0) -> Maker:
    """The right half has this colour and opacity; the left one is the numbered picture."""

    def make(videos):
        pictures = []
        for number in range(12):
            picture = np.full((64, 192, 4), (*hidden, opacity), np.uint8)
            picture[:, :96, :3], picture[:, :96, 3] = videos.numbered(number), 255
            pictures.append(picture)
        path = videos.path(name)
        with av.open(str(path), "w") as output:
            options = {"crf": "4", "b": "4M", "auto-alt-ref": "0"}
            stream = output.add_stream(codec, rate=25, options=options)
            stream.pix_fmt = "yuva420p"
            stream.height, stream.width = pictures[0].shape[:2]
            for packet in encode(stream, pictures, "rgba"):
                output.mux(packet)
        return path

    return make


def _element(identifier: int, content: bytes) -> bytes:
    return (
        identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
        + (1 << 56 | len(content)).to_bytes(8, "big")
        + content
    )


def _bars(picture: np.ndarray, sides: tuple[int, int, int, int]) -> np.ndarray:
    """Black bars of (left, top, right, bottom) pixels around a picture."""
    left, top, right, bottom = sides
    return np.pad(picture, ((top, bottom), (left, right), (0, 0)))


def cropped_matroska(
    name: str, sides: tuple[int, int, int, int], display: tuple[int, int] | None = None, codec: str = "libx264"
) -> Maker:
    """PixelCrop of (left, top, right, bottom), and the size that the cropped picture is to be shown at."""

    def make(videos):
        pictures = [_bars(picture, sides) for picture in numbered(range(24))]
        data = videos.write(f"whole_{name}", pictures, codec=codec, options={"g": "12"}).read_bytes()
        # The header is written anew with elements of a size known beforehand.
        keys = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
        added = b"".join(_element(key, side.to_bytes(2, "big")) for key, side in zip(keys, sides, strict=True))
        if display:
            added += b"".join(
                _element(key, side.to_bytes(2, "big")) for key, side in zip((0x54B0, 0x54BA), display, strict=True)
            )
        return videos.write_bytes(name, _into_matroska_video(data, added, drop_display=display is not None))

    return make


def _matroska_number(data: bytes, at: int, marker: bool) -> tuple[int, int]:
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return (value if marker else value - (1 << 7 * length)), at + length


def _into_matroska_video(data: bytes, added: bytes, drop_display: bool) -> bytes:
    """`data` with elements added to the Video element of every track; the place is taken from what lies behind."""

    def rewrite(block: bytes, path: list[int]) -> bytes:
        out, at = b"", 0
        while at < len(block):
            start = at
            identifier, at = _matroska_number(block, at, True)
            size, at = _matroska_number(block, at, False)
            content, at = block[at : at + size], at + size
            if drop_display and identifier in (0x54B0, 0x54B2, 0x54BA):
                continue
            if identifier == path[0] and len(path) > 1:
                out += _element(identifier, rewrite(content, path[1:]))
            elif identifier == path[0]:
                out += _element(identifier, (rewrite(content, [0]) if drop_display else content) + added)
            else:
                out += block[start:at]
        return out

    at = 0
    _, at = _matroska_number(data, at, True)
    size, at = _matroska_number(data, at, False)
    head, at = data[: at + size], at + size
    _, at = _matroska_number(data, at, True)
    size, at = _matroska_number(data, at, False)
    # Seek entries and cues would point to the wrong places: only the parts that a stream needs are taken over.
    body, parts = data[at : at + size], b""
    at = 0
    while at < len(body):
        start = at
        identifier, at = _matroska_number(body, at, True)
        size, at = _matroska_number(body, at, False)
        at += size
        if identifier in (0x1549A966, 0x1654AE6B, 0x1F43B675):
            parts += body[start:at]
    return head + _element(0x18538067, rewrite(parts, [0x1654AE6B, 0xAE, 0xE0]))


def clean_aperture(name: str, sides: tuple[int, int, int, int], codec: str = "libx264") -> Maker:
    """An MP4 whose sample description has a `clap` box."""

    def make(videos):
        pictures = [_bars(picture, sides) for picture in numbered(range(24))]
        data = videos.write(f"whole_{name}", pictures, codec=codec, options={"g": "12"}).read_bytes()
        left, top, right, bottom = sides
        box = struct.pack(">I4s4I4i", 40, b"clap", 96, 1, 64, 1, *(left - right, 2), *(top - bottom, 2))
        return videos.write_bytes(name, _grown(data, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"], box))

    return make


def _grown(data: bytes, path: list[bytes], box: bytes) -> bytes:
    """An MP4 whose index lies at the end, with a box added to the first entry of the last box of `path`."""
    out, at = b"", 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + size]
        if kind == path[0] and len(path) > 1:
            content = _grown(content, path[1:], box)
        elif kind == path[0]:
            entry = int.from_bytes(content[8:12], "big")
            content = content[:8] + (entry + len(box)).to_bytes(4, "big") + content[12 : 8 + entry] + box
        out += (8 + len(content)).to_bytes(4, "big") + kind + content
        at += size
    return out


def edited(name: str, edits: Sequence[tuple[int, int]], count: int = 60, **settings) -> Maker:
    """An MP4 whose edit list shows (first frame, frames) pieces; -1 as first frame is a pause."""

    def make(videos):
        settings.setdefault("options", B_FRAMES)
        path = videos.write(f"whole_{name}", count, **settings)
        with av.open(str(path)) as source:
            stream = source.streams.video[0]
            step = round(1 / 25 / stream.time_base)
            delay = -next(packet.dts for packet in source.demux(stream))
        data = path.read_bytes()
        at = data.index(b"mvhd") + 4
        movie_scale = int.from_bytes(data[at + 12 : at + 16], "big")
        entries = b"".join(
            struct.pack(">Iihh", length * movie_scale // 25, -1 if first < 0 else delay + first * step, 1, 0)
            for first, length in edits
        )
        body = struct.pack(">II", 0, len(edits)) + entries
        box = struct.pack(">I4sI4s", 16 + len(body), b"edts", 8 + len(body), b"elst") + body
        return videos.write_bytes(name, _with_edits(data, box))

    return make


def _with_edits(data: bytes, box: bytes) -> bytes:
    out, at = b"", 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + size]
        if kind == b"moov":
            content = _with_edits(content, box)
        elif kind == b"trak":
            content = _with_edits(content, b"")
            head = int.from_bytes(content[:4], "big")
            content = content[:head] + box + content[head:]
        if not (kind == b"edts" and not box):
            out += (8 + len(content)).to_bytes(4, "big") + kind + content
        at += size
    return out


def joined(name: str, *offsets: float, count: int = 12, codec: str = "libx264", container: str | None = None) -> Maker:
    """Streams of `count` frames, one behind the other, each with a clock of its own (seconds)."""

    def make(videos):
        data = b""
        for k, offset in enumerate(offsets):
            part = videos.write(
                f"{k}_{name}",
                numbered(range(k * count, (k + 1) * count)),
                codec=codec,
                options={"bf": "0"},
                container=container,
                container_options={"output_ts_offset": str(offset)} if offset else {},
            )
            data += part.read_bytes()
        return videos.write_bytes(name, data)

    return make


def animated_webp(name: str, durations: Sequence[int], lossless: bool = True, clear: bool = False) -> Maker:
    """Frames shown for so many milliseconds; with `clear`, the lower right corner is transparent."""

    def make(videos):
        frames = []
        for picture in numbered(range(len(durations))):
            image = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
            if clear:
                image[56:, 80:] = (10, 120, 10, 0)
            frames.append(Image.fromarray(image))
        path = videos.path(name)
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=list(durations), lossless=lossless)
        return path

    return make


def interlaced(name: str, codec: str, options: dict[str, str], count: int = 24, top_first: bool = True) -> Maker:
    """Frame k has the rows of number 2k and 2k + 1: a bar code at rest would look combed."""

    def make(videos):
        pictures = []
        for k in range(count):
            early, late = videos.numbered(2 * k, 192, 128), videos.numbered(2 * k + 1, 192, 128)
            picture = early.copy()
            picture[1 if top_first else 0 :: 2] = late[1 if top_first else 0 :: 2]
            pictures.append(picture)
        return videos.write(name, pictures, codec=codec, options=options)

    return make


DEFAULT = Disposition.default.value
