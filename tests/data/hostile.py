"""Makes small files that are meant to exhaust whoever reads them, each kind at any size, always the same.

`EXHAUSTING` names a maker for each kind: size -> the file's bytes. `REFERRING` names files that point to another one.
`mutated` damages a file as chance has it.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import av
import numpy as np

Maker = Callable[[int], bytes]
"""How much it is to exhaust, in the unit that the maker names -> the file."""


def deflated_zeros(megabytes: int) -> bytes:
    """A zlib stream of so many million zeros, made at once: a thousandth of their size."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    # The checksum (Adler-32) of n zeros is 1 in its lower half and n in its upper one.
    checksum = struct.pack(">I", (megabytes * 1_000_000 % 65521) << 16 | 1)
    return first + again * (megabytes - 1) + b"\x03\x00" + checksum


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@cache
def png(*extra: bytes, side: int = 32, number: int = 0) -> bytes:
    """A grey picture with further chunks before its pixels."""
    rows = b"".join(b"\0" + bytes([(8 * x + 40 * number) % 256 for x in range(side)]) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), *extra, _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def profile_chunk(megabytes: int) -> bytes:
    """A colour profile that unpacks to so many million bytes."""
    return _chunk(b"iCCP", b"p\0\0" + deflated_zeros(megabytes))


def text_chunk(megabytes: int) -> bytes:
    """A comment that does."""
    return _chunk(b"zTXt", b"t\0\0" + deflated_zeros(megabytes))


def film(container: str, pictures: list[bytes], codec: str = "png", size: tuple[int, int] = (32, 32)) -> bytes:
    """Encoded pictures as the packets of a video."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "gray" if codec == "png" else "yuvj420p"
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            output.mux(packet)
    return file.getvalue()


@cache
def plain(frames: int = 12, container: str = "mp4") -> bytes:
    """A short video in which a bright square moves, for the good file after the bad one and for mutation."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(frames):
            picture = np.full((64, 96, 3), 80, np.uint8)
            picture[16:48, 4 * number : 4 * number + 32] = 220
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _movie() -> tuple[bytes, bytes, bytes]:
    """The parts of `plain` around its `moov` box, and that box."""
    data = plain()
    start = data.index(b"moov") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    return data[:start], data[start:end], data[end:]


def forged_samples(count: int) -> bytes:
    """An MP4 that says that it has `count` samples of one size, chunks of as many, and a time for each."""
    before, movie, after = _movie()
    for kind, at in ((b"stsz", 12), (b"stts", 12), (b"stsc", 16)):
        place = movie.index(kind) + at
        movie = movie[:place] + struct.pack(">I", count) + movie[place + 4 :]
    place = movie.index(b"stsz") + 8
    movie = movie[:place] + struct.pack(">I", 1) + movie[place + 4 :]
    return before + movie + after


def compressed_header(megabytes: int) -> bytes:
    """A QuickTime file whose header is compressed, and so large when it is not."""
    before, _, after = _movie()
    size = megabytes * 1_000_000
    header = _box(b"cmov", _box(b"dcom", b"zlib") + _box(b"cmvd", struct.pack(">I", size) + deflated_zeros(megabytes)))
    return before + _box(b"moov", header) + after


def free_boxes(thousands: int) -> bytes:
    """An MP4 with so many thousand empty boxes before its header."""
    before, movie, after = _movie()
    return before[: int.from_bytes(before[:4], "big")] + _box(b"free", b"") * (1000 * thousands) + movie + after


def _element(identifier: int, content: bytes) -> bytes:
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _matroska(extra: bytes, blocks: bytes) -> bytes:
    video = _element(0xE0, _element(0xB0, b"\x20") + _element(0xBA, b"\x20"))
    track = b"".join(
        (_element(0xD7, b"\1"), _element(0x73C5, b"\1"), _element(0x83, b"\1"), _element(0x86, b"V_MJPEG"), video)
    )
    head = _element(0x1A45DFA3, _element(0x4282, b"matroska"))
    body = _element(0x1654AE6B, _element(0xAE, track)) + extra + _element(0x1F43B675, _element(0xE7, b"\0") + blocks)
    return head + _element(0x18538067, body)


def falling_chapters(thousands: int) -> bytes:
    """A Matroska file with so many thousand chapters, one after the other, but with numbers that fall."""
    count = 1000 * thousands
    atoms = b"".join(
        _element(0xB6, _element(0x73C4, (count - i).to_bytes(4, "big")) + _element(0x91, (1000 * i).to_bytes(6, "big")))
        for i in range(count)
    )
    return _matroska(_element(0x1043A770, _element(0x45B9, atoms)), b"")


def empty_packets(thousands: int) -> bytes:
    """A Matroska file of so many thousand packets with nothing in them."""
    return _matroska(b"", _element(0xA3, b"\x81\0\0\x80") * (1000 * thousands))


def long_and_thin(frames: int) -> bytes:
    """Pictures of 5,120 x 64 pixels that ask to be shown ten times as high, which is just not too thin."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 5120, 64, "yuvj420p"
        stream.codec_context.sample_aspect_ratio = Fraction(1, 10)
        noise = np.random.default_rng(0).integers(0, 256, (64, 5120, 3), np.uint8)
        for number in range(frames):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, 5 * number, 1), "rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


EXHAUSTING: dict[str, Maker] = {
    "profile.png": lambda megabytes: png(profile_chunk(megabytes)),
    "profile.mov": lambda megabytes: film("mov", [png(profile_chunk(megabytes)), png(number=1)]),
    "profile.avi": lambda megabytes: film("avi", [png(profile_chunk(megabytes)), png(number=1)]),
    "text.png": lambda megabytes: png(*[text_chunk(megabytes)] * 4),
    "text_in_every_frame.mov": lambda megabytes: film("mov", [png(text_chunk(megabytes))] * 60),
    "compressed_header.mov": compressed_header,
    "forged_samples.mp4": lambda millions: forged_samples(millions * 1_000_000),
    "free_boxes.mp4": free_boxes,
    "falling_chapters.mkv": falling_chapters,
    "empty_packets.mkv": empty_packets,
    "long_and_thin.mov": long_and_thin,
}
"""By file name. Sizes are in millions of bytes or samples, thousands of boxes, chapters or packets, or frames."""


def referring(name: str, target: str) -> bytes:
    """The file `name` of `REFERRING`, which points to the file `target`."""
    match name:
        case "playlist.m3u8":
            return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n".encode()
        case "script.ffconcat":
            return f"ffconcat version 1.0\nfile '{target}'\n".encode()
        case "session.sdp":
            return b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n"
        case "manifest.mpd":
            mpd = f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{target}</BaseURL></MPD>'
            return f'<?xml version="1.0"?>{mpd}'.encode()
        case "reference.mov":
            before, movie, after = _movie()
            # The data reference that says "in this file" becomes an alias to another one: type 2 is its path.
            place = movie.index(b"url ", movie.index(b"dref")) - 4
            path = target.encode()
            alias = bytes(150) + struct.pack(">hH", 2, len(path)) + path + bytes(len(path) % 2)
            alias = alias + struct.pack(">hh", -1, 0)
            entry = _box(b"alis", bytes(4) + alias)
            return before + _grown(movie, place, entry) + after
        case "picture_%03d.png":
            return png()
    raise KeyError(name)


REFERRING = (
    "playlist.m3u8",
    "script.ffconcat",
    "session.sdp",
    "manifest.mpd",
    "reference.mov",
    "picture_%03d.png",
)


def _grown(movie: bytes, place: int, entry: bytes) -> bytes:
    """A `moov` box in which the 12 bytes at `place` are replaced, and every box around them grows with that."""
    change = len(entry) - int.from_bytes(movie[place : place + 4], "big")
    data = bytearray(movie)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = data.index(kind) - 4
        data[at : at + 4] = struct.pack(">I", int.from_bytes(data[at : at + 4], "big") + change)
    return bytes(data[:place]) + entry + bytes(data[place + int.from_bytes(movie[place : place + 4], "big") :])


def mutated(data: bytes, seed: int) -> bytes:
    """`data` with a few bytes flipped, pieces cut out, swapped or doubled, or fields set to extremes."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(max(1, len(changed) - 8))
        length = chance.randint(1, max(1, len(changed) // 8))
        match chance.randrange(5):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at : at + 4] = chance.choice((bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\xff\xff"))
            case 4:
                changed[at : at + length] = chance.randbytes(length)
    return bytes(changed) or b"\0"
