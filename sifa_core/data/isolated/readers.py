"""`Readers`: `read_clip` and `read_video` in workers that may die; one sentence comes back whatever happens there."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import logging
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sifa_core.data.clip import Clip
from sifa_core.data.container import VideoFile, display_name, open_file, too_much_memory
from sifa_core.data.decode import VideoReading
from sifa_core.data.isolated.messages import LARGEST_ANSWER, NonsenseError, Order, WorkerFault, decode
from sifa_core.data.isolated.worker_limits import WorkerLimits
from sifa_core.data.limits import Limits
from sifa_core.data.reading import ClipRequest, OverviewRequest, Reading, Request, ViewsRequest, read
from sifa_core.errors import BrokenVideoError, ClipError, ReaderUnavailableError

if TYPE_CHECKING:
    from sifa_core.data.isolated.confinement import Confinement

IS_POSSIBLE_HERE = sys.platform == "linux"
"""Elsewhere a system has no memory that both sides see without a file, or does not hold limits of memory."""
_GRACE = 0.75
"""Seconds beyond the limit until a worker is given up; it is told to end itself before."""
_START_SECONDS = 60.0
_END_SECONDS = 15.0
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")

log = logging.getLogger("sifa_core.data.isolated")


class _TemplateGoneError(Exception):
    """The process that makes workers has ended; not for what a file did."""


@dataclass(frozen=True)
class _Ended:
    """How a worker ended."""

    code: int
    """Exit code, or the number of a signal below zero."""
    peak_bytes: int
    """Most memory that it had."""


@dataclass
class _Slot:
    """The right to have one worker; the last one may still be on its way out."""

    life: socket.socket | None = None


class _Template:
    """The owner's end of the process that makes workers."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(__file__).resolve().parents[3])
        search = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with theirs:
            # One thread before the copies are made, and few heaps in them, each of which reserves 64 MB of addresses.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sifa_core.data.isolated.template", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                env=environment
                | {"PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "2"}
                | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_OPENCL_RUNTIME": "disabled"},
            )
        self._confinement: Confinement | None = None
        self._lock = threading.Lock()

    def confinement(self) -> Confinement:
        """What is closed to workers; waits until they can be made. Raises _TemplateGoneError."""
        from sifa_core.data.isolated.confinement import Confinement

        with self._lock:
            if self._confinement is None:
                self._control.settimeout(_START_SECONDS)
                try:
                    self._confinement = Confinement(**json.loads(self._control.recv(4096)))
                except (OSError, ValueError) as error:
                    raise _TemplateGoneError from error
            return self._confinement

    def send(self, descriptors: list[int]) -> None:
        """Have a worker made. Raises _TemplateGoneError."""
        self.confinement()
        try:
            socket.send_fds(self._control, [b"read"], descriptors)
        except OSError as error:
            raise _TemplateGoneError from error

    def end(self) -> None:
        self._control.close()
        self.process.kill()
        self.process.wait()


class Readers:
    """Reads clips in workers, as many at once as `limits` say. Safe to use from several threads.

    A worker is a process of its own for one file: it cannot open another one, reach a network, start a program, or
    pass its limits. It takes the first read about half a second until workers can be made; `start` has that done
    beforehand. Without `isolate`, and on systems that cannot do this, clips are read in this process.
    """

    def __init__(self, limits: WorkerLimits | None = None, *, isolate: bool = True) -> None:
        self.limits = limits or WorkerLimits()
        self.isolates = isolate and IS_POSSIBLE_HERE
        self.peak_bytes = 0
        """Most memory that a worker has had, as far as workers have ended."""
        self._slots: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for _ in range(self.limits.readers):
            self._slots.put(_Slot())
        self._template: _Template | None = None
        self._lock = threading.Lock()

    def read_clip(
        self,
        path: str | os.PathLike[str],
        num_frames: int = 16,
        *,
        start: int | None = None,
        stride: int | Literal["auto"] = "auto",
        max_short_side: int = 720,
        known_frames: int | None = None,
        limits: Limits | None = None,
    ) -> Clip:
        """`sifa_core.read_clip`, with all that it raises, and ReaderUnavailableError."""
        request = ClipRequest(num_frames, start, stride, max_short_side, known_frames)
        name, sha256, (reading,) = self._readings(path, request, limits or Limits())
        return reading.clip(name, sha256)

    def read_video(
        self,
        path: str | os.PathLike[str],
        num_frames: int = 16,
        views: int = 10,
        *,
        max_short_side: int = 720,
        max_bytes: int | None = None,
        view_short_side: int | None = None,
        limits: Limits | None = None,
    ) -> VideoReading:
        """`sifa_core.data.read_video`, with all that it raises, and ReaderUnavailableError."""
        request = ViewsRequest(num_frames, views, max_short_side, max_bytes, view_short_side)
        return VideoReading.of(*self._readings(path, request, limits or Limits()))

    def read_overview(
        self,
        path: str | os.PathLike[str],
        num_frames: int = 16,
        windows: int = 20,
        stride: int = 1,
        *,
        thumbnails: int = 24,
        max_short_side: int = 256,
        known_frames: int | None = None,
        limits: Limits | None = None,
    ) -> tuple[Clip, list[Clip]]:
        """`sifa_core.data.read_overview`, with all that it raises, and ReaderUnavailableError."""
        request = OverviewRequest(num_frames, windows, stride, thumbnails, max_short_side, known_frames)
        name, sha256, (first, *spread) = self._readings(path, request, limits or Limits())
        return first.clip(name, sha256), [reading.clip(name, sha256) for reading in spread]

    def start(self) -> None:
        """Have a process started that workers are made from, without waiting for it."""
        if self.isolates:
            with contextlib.suppress(ReaderUnavailableError):  # who reads is told
                self._running()

    def describe(self) -> str:
        """What workers are kept from, for whoever hosts. Waits for `start`. Raises ReaderUnavailableError."""
        if not self.isolates:
            return "Clips are read in this process: a file that is made to do harm can end it."
        try:
            return self._running().confinement().sentence()
        except _TemplateGoneError as error:
            raise self._unavailable() from error

    def settle(self) -> None:
        """Wait until every worker has ended, those that read now as well; then `peak_bytes` is of all of them."""
        slots = [self._slots.get() for _ in range(self.limits.readers)]
        for slot in slots:
            with contextlib.suppress(_TemplateGoneError, ReaderUnavailableError):  # then it has ended, too
                self._settle(slot)
            self._slots.put(slot)

    def close(self) -> None:
        """Have no process left, once all workers have ended. Reading again starts a new one."""
        self.settle()
        with self._lock:
            if self._template is not None:
                self._template.end()
                self._template = None

    def _readings(
        self, path: str | os.PathLike[str], request: Request, limits: Limits
    ) -> tuple[str, str, list[Reading]]:
        """Display name and hash of the file, and what was read of it."""
        with self._slot() as slot, open_file(path, limits) as file:
            if self.isolates:
                readings = self._read(slot, file, Order(file.name, request, limits, self.limits))
            else:
                readings = read(file, limits, request)
            return display_name(path), file.sha256, readings

    @contextmanager
    def _slot(self) -> Iterator[_Slot]:
        slot = self._slots.get()
        try:
            yield slot
        finally:
            self._slots.put(slot)

    def _read(self, slot: _Slot, file: VideoFile, order: Order) -> list[Reading]:
        for _ in range(2):  # whatever ended the template, the file did not: it gets another one
            template = self._running()
            try:
                return self._read_once(template, slot, file, order)
            except _TemplateGoneError:
                self._drop(template)
        raise self._unavailable()

    def _read_once(self, template: _Template, slot: _Slot, file: VideoFile, order: Order) -> list[Reading]:
        from sifa_core.data.isolated.shared_memory import new_memory

        with contextlib.suppress(_TemplateGoneError):  # that of the file before, whose worker has ended with it
            self._settle(slot)
        template.confinement()
        with contextlib.ExitStack() as stack:
            try:
                memory = new_memory(self.limits.memory_bytes)
                stack.callback(os.close, memory)
                # Opened anew, so that where the worker reads does not move where we do.
                video = os.open(f"/proc/self/fd/{file.handle.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, video)
                ours, theirs = socket.socketpair()
                stack.enter_context(ours)
                stack.enter_context(theirs)
                slot.life, their_life = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                stack.enter_context(their_life)
            except OSError as error:
                raise self._unavailable() from error
            # However this ends, the worker is not needed any more; what came of it is asked for later.
            stack.callback(slot.life.shutdown, socket.SHUT_WR)
            template.send([theirs.fileno(), their_life.fileno(), video, memory])
            theirs.close()
            their_life.close()
            answer = _answer(ours, order, file.clock.end + _GRACE)
            try:
                if answer:
                    return decode(answer, memory, order)
            except NonsenseError as error:
                log.warning("A worker gave a wrong answer (%s).", error)
            except WorkerFault as fault:
                log.warning("A clip could not be read: %s", fault)
                raise ClipError(f"{file.name} cannot be read here.") from fault
        raise self._failure(file, self._settle(slot), answer)

    def _failure(self, file: VideoFile, ended: _Ended | None, answer: bytes | None) -> ClipError:
        """What to say of a worker that gave no answer."""
        code = 0 if ended is None else ended.code
        if answer is None or file.clock.is_over() or -code in (signal.SIGALRM, signal.SIGXCPU):
            return file.clock.error()
        if -code == signal.SIGKILL:
            # Ours comes after the answer only; the system's own, for want of memory, before it.
            return too_much_memory(file.name)
        return BrokenVideoError(f"{file.name} brings the decoder down; it is damaged, or made to do harm.")

    def _settle(self, slot: _Slot) -> _Ended | None:
        """Wait until the last worker of a slot has ended. None if it has none. Raises _TemplateGoneError."""
        life, slot.life = slot.life, None
        if life is None:
            return None
        with life:
            life.settimeout(_END_SECONDS)
            try:
                told = json.loads(life.recv(4096))
            except (OSError, ValueError) as error:
                raise _TemplateGoneError from error
        if "fork" in told:
            log.error("No worker could be started: %s", told["fork"])
            raise self._unavailable()
        ended = _Ended(**told)
        self.peak_bytes = max(self.peak_bytes, ended.peak_bytes)
        return ended

    def _running(self) -> _Template:
        with self._lock:
            if self._template is not None and self._template.process.poll() is not None:
                self._template.end()
                self._template = None
            if self._template is None:
                try:
                    self._template = _Template()
                except OSError as error:
                    raise self._unavailable() from error
            return self._template

    def _drop(self, template: _Template) -> None:
        with self._lock:
            if self._template is template:
                self._template = None
                template.end()

    @staticmethod
    def _unavailable() -> ReaderUnavailableError:
        return ReaderUnavailableError("No clip can be read at the moment: the process that reads them cannot start.")


def _answer(ours: socket.socket, order: Order, end: float) -> bytes | None:
    """What a worker sends until it ends; None if it was too late or too much. Raises nothing of its own."""
    received = bytearray()
    try:
        ours.sendall(order.encoded())
        while len(received) <= LARGEST_ANSWER:
            ours.settimeout(None if math.isinf(end) else max(0.001, end - time.monotonic()))
            part = ours.recv(1 << 16)
            if not part:
                return bytes(received)
            received += part
    except TimeoutError:
        return None
    except OSError:  # it ended before it had read its order, or in the midst of its answer
        return b""
    return b""


@functools.cache
def shared_readers() -> Readers:
    """The readers of this process; ended with it."""
    readers = Readers()
    atexit.register(readers.close)
    return readers
