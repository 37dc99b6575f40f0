"""Which modules reading a video imports on its way, found by reading two drawn ones in a copy of this process.

A worker can open no file, so what NumPy, PyAV and Pillow put off until it is first needed has to be there before; what
that is differs with their versions. In a copy, since decoders and OpenCV start threads, and no copies can be made of a
process with threads.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import traceback

import numpy as np
from PIL import Image

from sifa_core.data.container import video_file
from sifa_core.data.isolated.messages import Order, encode_failure, encode_readings
from sifa_core.data.isolated.shared_memory import SharedArrays, new_memory
from sifa_core.data.isolated.worker_limits import WorkerLimits
from sifa_core.data.limits import Limits
from sifa_core.data.reading import ClipRequest, ViewsRequest, read
from sifa_core.errors import BrokenVideoError, ClipError

_SIDE = 48
_CAPACITY = 10_000_000


def rehearse() -> None:
    """Import what reading imports. Raises OSError where no copy can be made, or it cannot read."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as answer:
                before = set(sys.modules)
                _read_all()
                json.dump(sorted(set(sys.modules) - before), answer)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        names = pipe.read()
    if os.waitpid(process, 0)[1] or not names:
        raise OSError("a made-up video could not be read")
    for name in json.loads(names):
        with contextlib.suppress(ImportError):  # compiled modules put names there that nothing can be imported by
            importlib.import_module(name)


def _read_all() -> None:
    limits, worker = Limits(), WorkerLimits()
    requests = (ClipRequest(4), ViewsRequest(4, 2, view_short_side=16))
    for video in (_interlaced(), _webp(), b"not a video"):
        for request in requests:
            file = video_file(io.BytesIO(video), "rehearsal", limits)
            line = Order(file.name, request, limits, worker).encoded()
            try:
                readings = read(file, limits, Order.decoded(line).request)
                encode_readings(readings, SharedArrays(new_memory(_CAPACITY), _CAPACITY))
            except ClipError as error:
                encode_failure(error)
    encode_failure(BrokenVideoError("rehearsal"))


def _interlaced() -> bytes:
    """Uncompressed, so no encoder is needed: frames of noise that moves, in YUV4MPEG2."""
    noise = (np.arange(_SIDE * _SIDE) ** 2 * 7 % 251).astype(np.uint8).reshape(_SIDE, _SIDE)
    grey = bytes([128]) * (_SIDE * _SIDE // 2)
    frames = b"".join(b"FRAME\n" + np.roll(noise, 2 * i, axis=1).tobytes() + grey for i in range(12))
    return f"YUV4MPEG2 W{_SIDE} H{_SIDE} F25:1 It A1:1 C420jpeg\n".encode() + frames


def _webp() -> bytes:
    """Animated WebP, which another library reads."""
    pictures = [Image.new("RGBA", (_SIDE, _SIDE), (40 * i, 90, 200, 128)) for i in range(4)]
    file = io.BytesIO()
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], duration=40)
    return file.getvalue()
