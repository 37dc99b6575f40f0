"""An untrusted container: known formats, no other file, no network, no endless wait.

The file is opened by Python and handed to FFmpeg as a stream of bytes, so its name is never read as a protocol, a
pattern or an option, and formats that are lists of other files (playlists, ffconcat, SDP) are not on the list.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import av
import av.container
import av.error
import av.video.stream
from av.stream import Disposition

from sifa_core.data.limits import Limits
from sifa_core.errors import (
    BrokenVideoError,
    ClipNotFoundError,
    ClipTooLargeError,
    NotAVideoError,
    NoVideoStreamError,
)

# Containers and raw streams of pictures. The *_pipe ones are single images: read, then refused for being one frame.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,mpegvideo,m4v,flv,asf,ogg,ivf,nut,mxf,apng,webp_anim,"
    "h264,hevc,obu,mjpeg,yuv4mpegpipe,dv,wav,mp3,flac,aac,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe"
)
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_streams": "64"}
_NOT_SHOWN = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails | Disposition.dependent
"""Streams that no player shows by themselves: covers of songs, previews, and parts of other streams."""
_SIGNATURES = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "), (0, b"GIF8"))


def display_name(path: str | os.PathLike[str]) -> str:
    """The file's name without its folder, fit to be shown on one line.

    Line breaks, other control characters and marks that reverse the direction of the text around them are replaced.
    """
    name = os.path.basename(os.fspath(path).rstrip("/\\")) or "(no name)"
    name = name.encode("utf-8", "replace").decode("utf-8")
    return "".join("\ufffd" if _disturbs(character) else character for character in name)


def short_name(name: str) -> str:
    """`name` for a sentence: at most 80 characters, its beginning and end kept."""
    return name if len(name) <= 80 else f"{name[:50]}…{name[-29:]}"


def too_much_memory(name: str) -> ClipTooLargeError:
    """The error for a file whose reading would take more memory than the process may have."""
    return ClipTooLargeError(f"{name} would take more memory to read than a clip may take here.")


@dataclass(frozen=True)
class Clock:
    """The time by which reading has to be over."""

    name: str
    end: float
    seconds: float

    def is_over(self) -> bool:
        return time.monotonic() > self.end

    def check(self) -> None:
        """Raises ClipTooLargeError when the time is over."""
        if self.is_over():
            raise self.error()

    def error(self) -> ClipTooLargeError:
        """What there is to say when the time is over."""
        return ClipTooLargeError(f"{self.name} takes longer than the limit of {self.seconds:g} s to read.")


@dataclass
class VideoFile:
    """A file that may be opened as a video, any number of times."""

    name: str
    """Display name, shortened for messages."""
    clock: Clock
    handle: BinaryIO
    head: bytes
    """Its first bytes."""

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the file's bytes. Reads all of it once. Raises ClipTooLargeError when the time is over."""
        self.handle.seek(0)
        digest = hashlib.sha256()
        while block := self.handle.read(1 << 20):
            self.clock.check()
            digest.update(block)
        return digest.hexdigest()

    @contextmanager
    def stream(self, limits: Limits) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
        """The container and the stream of moving pictures that players show, from the beginning.

        Raises NotAVideoError, BrokenVideoError, NoVideoStreamError, ClipTooLargeError.
        """
        self.handle.seek(0)
        try:
            container = av.open(
                _Reader(self.handle, self.clock),
                mode="r",
                options=decoder_options(limits),
                container_options=_OPTIONS,
                metadata_errors="replace",
                buffer_size=1 << 18,
                timeout=self.clock.seconds,
                io_open=_refuse,
            )
        except MemoryError as error:  # FFmpeg's own error of this kind is one, too
            raise too_much_memory(self.name) from error
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self.clock.check()
            raise self._unreadable() from error
        with container:
            self.clock.check()
            yield container, self._video_stream(container)

    def _unreadable(self) -> NotAVideoError | BrokenVideoError:
        if any(self.head[offset:].startswith(mark) for offset, mark in _SIGNATURES):
            return BrokenVideoError(f"{self.name} starts as a video but cannot be read; it may have been cut off.")
        return NotAVideoError(
            f"{self.name} is not a video that can be read here (mp4, webm, mov, avi, mkv or gif are)."
        )

    def _video_stream(self, container: av.container.InputContainer) -> av.video.stream.VideoStream:
        streams = [stream for stream in container.streams.video if not stream.disposition & _NOT_SHOWN]
        if not streams:
            raise NoVideoStreamError(f"{self.name} has no moving pictures; it may be sound only.")
        # The best by each rule in turn, as far as any stream passes it; the first of what is left is shown.
        for passes in (_has_decoder, _moves, _is_default):
            streams = [stream for stream in streams if passes(stream)] or streams
        if not _has_decoder(streams[0]):
            raise BrokenVideoError(f"{self.name} is stored in a format for which there is no decoder here.")
        return streams[0]


def _has_decoder(stream: av.video.stream.VideoStream) -> bool:
    return stream.codec_context is not None


def _moves(stream: av.video.stream.VideoStream) -> bool:
    # The still picture of a sequence, for viewers that show no sequences, states that it has one frame.
    return stream.frames != 1


def _is_default(stream: av.video.stream.VideoStream) -> bool:
    # FFmpeg calls an enabled track of MP4 so, too.
    return bool(stream.disposition & Disposition.default)


@contextmanager
def open_file(path: str | os.PathLike[str], limits: Limits) -> Iterator[VideoFile]:
    """Open a file. Raises ClipNotFoundError, NotAVideoError (empty), ClipTooLargeError."""
    full_name = display_name(path)
    name = short_name(full_name)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ClipNotFoundError(f"{name} is a folder, not a file.")
        # A pipe or a device would be waited on for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ClipNotFoundError(f"{name} is not a regular file.")
        handle = open(path, "rb")  # noqa: SIM115 -- closed below; only its opening belongs into this try
    except PermissionError as error:
        raise ClipNotFoundError(f"{name} may not be read: permission is denied.") from error
    except OSError as error:
        reason = "has too long a name" if error.errno == errno.ENAMETOOLONG else "does not exist"
        raise ClipNotFoundError(f"{name} {reason}.") from error
    except ValueError as error:
        raise ClipNotFoundError(f"{name} is not a possible file name.") from error
    with handle:
        size = os.fstat(handle.fileno()).st_size
        if size == 0:
            raise NotAVideoError(f"{name} is empty.")
        if size > limits.max_bytes:
            raise ClipTooLargeError(
                f"{name} has {size / 1e6:,.1f} MB, more than the limit of {limits.max_bytes / 1e6:,.1f} MB."
            )
        yield video_file(handle, name, limits)


def video_file(handle: BinaryIO, name: str, limits: Limits) -> VideoFile:
    """A file that is open already, to be called `name` in sentences; its clock starts now."""
    clock = Clock(name, time.monotonic() + limits.max_decode_seconds, limits.max_decode_seconds)
    return VideoFile(name, clock, handle, handle.read(32))


def decoder_options(limits: Limits) -> dict[str, str]:
    """Options that keep a decoder from taking memory for pictures over the limit."""
    # Before version 18, PyAV crashes on any decoder option for files that announce no streams, such as MPEG program
    # streams. There the size is checked once the first picture has been decoded.
    return {"max_pixels": str(limits.max_pixels)} if int(av.__version__.split(".")[0]) >= 18 else {}


class _Reader:
    """The bytes of a file for FFmpeg. It has no name, so only the content tells the format."""

    def __init__(self, handle: BinaryIO, clock: Clock) -> None:
        self._handle = handle
        self._clock = clock

    # FFmpeg calls from C, where an exception could only be printed: errors are told as C does.
    def read(self, size: int) -> bytes:
        return b"" if self._clock.is_over() else self._handle.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._handle.seek(offset, whence)
        except (OSError, OverflowError, ValueError):
            return -errno.EINVAL

    def tell(self) -> int:
        return self._handle.tell()


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError("a video may not open other files")


def _disturbs(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
