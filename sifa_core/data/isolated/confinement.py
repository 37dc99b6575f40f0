"""What a process gives up before it reads a file that a stranger has sent, and a trial of what is really closed.

The system holds all of it, whatever the process does: address space, processor time and wall time, files, network,
further processes. Where a system lacks a part, the rest still holds, and `Confinement` says which part that is.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sifa_core.data.isolated import syscall_filter
from sifa_core.data.isolated.worker_limits import WorkerLimits

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_SET_DEATH_SIGNAL = 1


@dataclass(frozen=True)
class Confinement:
    """What a confined process found closed when it tried."""

    files: bool
    """Opening any file."""
    network: bool
    """Making a socket, or reaching anything with it."""
    processes: bool
    """Starting another process."""

    def sentence(self) -> str:
        """For whoever hosts the page."""
        parts = {"open files": self.files, "reach the network": self.network, "start programs": self.processes}
        closed, left = ([what for what, is_closed in parts.items() if is_closed is wanted] for wanted in (True, False))
        sentence = f"A clip is read in a process of its own, which cannot {_listed(closed)}." if closed else ""
        missing = f"This system does not keep the process that reads a clip from this: {_listed(left)}." if left else ""
        return " ".join(part for part in (sentence, missing) if part)


def leave_network() -> bool:
    """Move this process, which must have one thread only, into a network of its own in which nothing can be reached.

    False where the system does not let it; many containers do not, and the filter of system calls is there as well.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def confine(limits: WorkerLimits, seconds: float, grace: float = 0.5) -> None:
    """Limit this process for good: `seconds` of wall time and `grace` until it is ended, and all of `limits`.

    Everything that it will need must be open and imported.
    """
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    if math.isfinite(seconds):
        # Not caught by anybody, so the system ends the process, even in the middle of a decoder's work.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + grace)
        cores = len(os.sched_getaffinity(0))
        _limit(resource.RLIMIT_CPU, math.ceil((seconds + grace) * cores) + 1, further=1)
    if syscall_filter.is_known_here():
        with contextlib.suppress(OSError):
            syscall_filter.apply()


def limit_memory(limits: WorkerLimits) -> None:
    """Limit this process's address space to what it has now and what `limits` add; for good."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + limits.memory_bytes)


def trial() -> Confinement:
    """What is closed to a process that is confined: tried out in a copy of this one. Raises OSError."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            _try_everything(writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        closed = pipe.read()
    os.waitpid(process, 0)
    if len(closed) != 3:
        raise OSError("a confined process does not run on this system")
    return Confinement(*(mark == ord("x") for mark in closed))


def _try_everything(answer: int) -> None:
    limits = WorkerLimits()
    limit_memory(limits)
    confine(limits, seconds=10.0)
    tries: tuple[Callable[[], None], ...] = (_open_file, _reach_network, _start_process)
    os.write(answer, b"".join(b"x" if _fails(attempt) else b"o" for attempt in tries))


def _fails(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _open_file() -> None:
    os.close(os.open("/", os.O_RDONLY))


def _reach_network() -> None:
    # A datagram to an address reserved for documentation, which no machine has: it leaves no machine either, as no
    # byte is sent when a datagram socket is connected. In a network of its own there is no way to the address.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.connect(("192.0.2.1", 9))


def _start_process() -> None:
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)


def _limit(what: int, value: int, further: int = 0) -> None:
    hard = resource.getrlimit(what)[1]
    value, last = (each if hard == resource.RLIM_INFINITY else min(each, hard) for each in (value, value + further))
    resource.setrlimit(what, (value, last))


def _listed(parts: list[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
