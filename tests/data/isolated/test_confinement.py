"""What a confined process cannot do, tried out in one; and the filter of system calls, run as the kernel runs it."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys

import pytest

from sifa_core.data.isolated import syscall_filter
from sifa_core.data.isolated.confinement import Confinement, trial

ATTEMPTS = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading
from sifa_core.data.isolated.confinement import confine, limit_memory
from sifa_core.data.isolated.worker_limits import WorkerLimits

def write_what_is_open():
    with os.fdopen(os.dup(opened), "wb", buffering=0) as file:
        file.write(b"x" * 10)

def trace(process):
    if libc.ptrace(16, process, 0, 0):
        raise OSError(ctypes.get_errno(), "ptrace")

libc = ctypes.CDLL(None, use_errno=True)
opened = os.open(sys.argv[1], os.O_RDWR)
attempts = {
    "read a file": lambda: open("/etc/hostname"),
    "read its program": lambda: open(f"/proc/self/maps"),
    "list a folder": lambda: os.listdir("/"),
    "ask about a file": lambda: os.stat("/etc/hostname"),
    "make a file": lambda: open(sys.argv[1] + ".new", "w"),
    "remove a file": lambda: os.unlink(sys.argv[1]),
    "write": write_what_is_open,
    "connect": lambda: socket.socket().connect(("127.0.0.1", 1)),
    "listen": lambda: socket.socket(socket.AF_UNIX),
    "fork": os.fork,
    "start a program": lambda: os.execv("/bin/true", ["true"]),
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "lower its limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20)),
    "change its user": lambda: os.setuid(12345),
    "trace its parent": lambda: trace(os.getppid()),
    "be cast a memory file": lambda: os.memfd_create("x"),
}
done = []
thread = threading.Thread(target=lambda: done.append("thread"))
limit_memory(WorkerLimits(memory_bytes=400_000_000))
confine(WorkerLimits(), 60.0)
answers = {}
for name, attempt in attempts.items():
    try:
        attempt()
    except ValueError:  # which Python makes of this error in setrlimit
        answers[name] = "PermissionError"
    except OSError as error:
        answers[name] = type(error).__name__
    else:
        answers[name] = "done"
thread.start()
thread.join()
try:
    bytearray(450_000_000)
except MemoryError:
    done.append("memory")
bytearray(100_000_000)
print(json.dumps([answers, done]))
"""


def test_what_is_closed(tmp_path):
    if not syscall_filter.is_known_here():
        pytest.skip("there is no filter for this architecture")
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    run = subprocess.run([sys.executable, "-c", ATTEMPTS, file], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    answers, done = json.loads(run.stdout)
    assert answers.pop("write") == "OSError"  # files may not have a size: RLIMIT_FSIZE
    assert set(answers.values()) == {"PermissionError"}, answers
    assert done == ["thread", "memory"]
    assert file.read_bytes() == b"hello"


def test_the_clock_ends_a_process_in_whatever_it_does():
    script = """
from sifa_core.data.isolated.confinement import confine
from sifa_core.data.isolated.worker_limits import WorkerLimits
confine(WorkerLimits(), 0.2, grace=0.1)
while True: pass
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == -signal.SIGALRM


def test_the_trial_finds_everything_closed_here():
    found = trial()
    if syscall_filter.is_known_here():
        assert found == Confinement(files=True, network=True, processes=True)
    assert found.sentence().startswith("A clip is read in a process of its own, which cannot open files, reach the")


def test_what_is_not_closed_is_said():
    assert Confinement(files=False, network=True, processes=False).sentence() == (
        "A clip is read in a process of its own, which cannot reach the network. "
        "This system does not keep the process that reads a clip from this: open files or start programs."
    )


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What a filter says of a call: the kernel's machine, of which it needs five instructions."""
    values = (*arguments, *[0] * (6 - len(arguments)))
    record = struct.pack("<iIQ6Q", number, architecture, 0, *values)
    code = [struct.unpack("HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]
    word = at = 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        match operation:
            case 0x20:
                word = struct.unpack_from("<I", record, value)[0]
            case 0x54:
                word &= value
            case 0x15:
                at += if_true if word == value else if_false
            case 0x06:
                return value


ALLOWED, KILLED, REFUSED, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
# read, openat, clone, tgkill, fcntl, socket, execve, kill, ptrace, newfstatat
NUMBERS = {
    "x86_64": (0xC000003E, 0, 257, 56, 234, 72, 41, 59, 62, 101, 262),
    "aarch64": (0xC00000B7, 63, 56, 220, 131, 25, 198, 221, 129, 117, 79),
}


@pytest.mark.parametrize("machine", NUMBERS)
def test_the_filter(machine):
    architecture, read, openat, clone, tgkill, fcntl, *refused = NUMBERS[machine]
    program = syscall_filter.program(machine, process=77)
    assert len(program) // 8 < 4096  # the kernel's limit
    assert verdict(program, architecture, read) == ALLOWED
    assert verdict(program, 1, read) == KILLED
    for number in (openat, *refused, 10**6, read | 0x40000000):
        assert verdict(program, architecture, number) == REFUSED
    assert verdict(program, architecture, 435) == UNKNOWN
    assert verdict(program, architecture, clone, 0x003D0F00) == ALLOWED  # a thread, as glibc starts one
    assert verdict(program, architecture, clone, 0x01200011) == REFUSED  # a process
    assert verdict(program, architecture, tgkill, 77) == ALLOWED
    assert verdict(program, architecture, tgkill, 1) == REFUSED
    assert verdict(program, architecture, fcntl, 3, 1030) == ALLOWED  # another descriptor of what is open
    assert verdict(program, architecture, fcntl, 3, 8) == REFUSED  # who gets signals
