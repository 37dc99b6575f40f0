"""The warm process that workers are copies of. It never reads a file itself.

For every file it makes a copy of itself (fork), which takes milliseconds, since everything is imported already. The
copy confines itself, reads the one file, answers, and ends: nothing that a file does to its reader outlives the file,
and the processor time and memory that the system counts are those of this file.

Started with the number of a socket, it is sent four descriptors for each file: the socket on which the copy is told its
order and answers; one that stays here, on which the end of the copy is told; the video; the memory for its pictures.
When the other end of the second one is shut, the copy is ended. When the first socket of all is, everything is.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import asdict
from typing import Any, NoReturn

import cv2

from sifa_core.data.container import video_file
from sifa_core.data.isolated.confinement import confine, leave_network, limit_memory, trial
from sifa_core.data.isolated.messages import Order, encode_failure, encode_readings
from sifa_core.data.isolated.rehearsal import rehearse
from sifa_core.data.isolated.shared_memory import SharedArrays
from sifa_core.data.reading import read

_MOST_THREADS = 8


def main(control: int) -> None:
    """Make copies until the other end of the socket is shut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner's terminal is not ours
    with socket.socket(fileno=control) as owner:
        rehearse()
        leave_network()  # in a name space of users as well, where what root may read here may be out of reach
        gc.collect()
        gc.freeze()  # what is here now is never looked at again, so copies share it
        owner.send(json.dumps(asdict(trial())).encode())
        _Template(owner).serve()


class _Template:
    def __init__(self, owner: socket.socket) -> None:
        self._owner = owner
        self._selector = selectors.DefaultSelector()
        self._lives: dict[int, socket.socket] = {}
        """By number of the copy's process, until that has ended."""

    def serve(self) -> None:
        woken, wakes = socket.socketpair()
        woken.setblocking(False)
        wakes.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._owner, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is woken:
                    woken.recv(4096)
                elif key.fileobj is not self._owner:
                    self._end(key.data)
                elif not self._take_order():
                    for process in self._lives:
                        os.kill(process, signal.SIGKILL)
                    return
            self._bury()

    def _take_order(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._owner, 16, 4)
        except OSError:  # it went before it had read what we told it
            return False
        if not message:
            return False
        answer, life, video, memory = descriptors
        with socket.socket(fileno=answer) as ours:
            kept = socket.socket(fileno=life)
            try:
                process = os.fork()
            except OSError as error:
                _tell(kept, {"fork": os.strerror(error.errno or 0)})
                kept.close()
            else:
                if not process:
                    _run(ours, video, memory)
                self._lives[process] = kept
                self._selector.register(kept, selectors.EVENT_READ, process)
        os.close(video)
        os.close(memory)
        return True

    def _end(self, process: int) -> None:
        """Nobody waits for this copy any more; if it is done already, no harm is done."""
        self._selector.unregister(self._lives[process])
        os.kill(process, signal.SIGKILL)

    def _bury(self) -> None:
        while self._lives:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if not process:
                return
            life = self._lives.pop(process)
            if life in self._selector.get_map():
                self._selector.unregister(life)
            code = os.waitstatus_to_exitcode(status)
            _tell(life, {"code": code, "peak_bytes": usage.ru_maxrss * 1024})
            life.close()


def _tell(life: socket.socket, what: dict[str, Any]) -> None:
    try:
        life.send(json.dumps(what).encode())
    except OSError:
        return  # nobody listens


def _run(answer: socket.socket, video: int, memory: int) -> NoReturn:
    """The life of a copy, from here to its end."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A decoder that goes down talks to the standard error; what it says is of the file, not of the server.
        os.dup2(os.open(os.devnull, os.O_RDWR), 2)
        _close_all_but(0, 1, 2, answer.fileno(), video, memory)
        order = Order.decoded(_line(answer))
        # Each thread has a stack of some megabytes, which counts as memory; a machine may have very many cores.
        cv2.setNumThreads(min(_MOST_THREADS, len(os.sched_getaffinity(0))))
        limit_memory(order.worker)
        handle = open(video, "rb")  # noqa: SIM115 - closed by the end of the process
        confine(order.worker, order.limits.max_decode_seconds)
        answer.sendall(_answer(handle, memory, order))
    finally:
        os._exit(0)


def _answer(handle: Any, memory: int, order: Order) -> bytes:
    try:
        shared = SharedArrays(memory, order.worker.memory_bytes)
        return encode_readings(
            read(video_file(handle, order.name, order.limits), order.limits, order.request, shared.empty), shared
        )
    except cv2.error as error:
        return encode_failure(MemoryError() if error.code == cv2.Error.STS_NO_MEM else error)
    except Exception as error:
        return encode_failure(error)


def _line(answer: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = answer.recv(1 << 16)
        if not part:
            raise EOFError("nobody asks")
        received += part
    return received


def _close_all_but(*wanted: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in wanted:
            try:
                os.close(int(name))
            except OSError:
                continue  # the listing's own, which is closed by now


if __name__ == "__main__":
    main(int(sys.argv[1]))
