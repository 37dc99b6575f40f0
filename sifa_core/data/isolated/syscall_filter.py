"""The system calls that are left to a process that reads a file: memory, threads, clocks, and what is open already.

A filter of Linux ("seccomp"), written in the small machine language that the kernel takes: eight bytes an instruction.
Every other call fails with EPERM, in this process and all its threads, for good. There is none that takes a path or an
address, so nothing can be opened, connected to, started, or ended.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from dataclasses import dataclass

_AMD64 = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20,
    "sched_yield": 24, "mremap": 25, "mincore": 27, "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39,
    "sendto": 44, "recvfrom": 45, "shutdown": 48, "clone": 56, "exit": 60, "fcntl": 72, "gettimeofday": 96,
    "getrusage": 98, "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204,
    "set_tid_address": 218, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
    "tgkill": 234, "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "getcpu": 309, "getrandom": 318,
    "membarrier": 324, "rseq": 334, "poll": 7,
}  # fmt: skip
_ARM64 = {
    "dup": 23, "fcntl": 25, "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66,
    "pread64": 67, "pselect6": 72, "ppoll": 73, "fstat": 80, "exit": 93, "exit_group": 94, "set_tid_address": 96,
    "futex": 98, "set_robust_list": 99, "nanosleep": 101, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "sched_getaffinity": 123, "sched_yield": 124, "tgkill": 131, "sigaltstack": 132,
    "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165, "getcpu": 168,
    "gettimeofday": 169, "getpid": 172, "gettid": 178, "sendto": 206, "recvfrom": 207, "shutdown": 210, "brk": 214,
    "munmap": 215, "mremap": 216, "clone": 220, "mmap": 222, "mprotect": 226, "mincore": 232, "madvise": 233,
    "getrandom": 278, "membarrier": 283, "rseq": 293,
}  # fmt: skip
_CLONE3 = 435
"""The same number everywhere. It hides what it is asked for in memory; told that there is none, libc takes `clone`."""


@dataclass(frozen=True)
class _Machine:
    audit: int
    """The kernel's number of the architecture."""
    calls: dict[str, int]


_MACHINES = {"x86_64": _Machine(0xC000003E, _AMD64), "aarch64": _Machine(0xC00000B7, _ARM64)}

# Instructions: load a word of what is filtered, and-mask it, compare, return.
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where in the filtered record they lie; an argument has eight bytes, the lower four first."""
_CLONE_THREAD = 0x00010000
_GET_FLAGS = (1, 3, 1030)
"""fcntl: read the flags of what is open, double it. Others could have signals sent to other processes."""
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _WITH_FILTER = 38, 22, 2


def is_known_here() -> bool:
    """Whether there is a table for this machine's architecture, and Python is built for it."""
    return platform.machine() in _MACHINES and ctypes.sizeof(ctypes.c_void_p) == 8


def program(machine: str, process: int) -> bytes:
    """The filter for an architecture ("x86_64", "aarch64"), for the process with this number."""
    table = _MACHINES[machine]
    with_rules = {
        "clone": [(0, _CLONE_THREAD, _CLONE_THREAD)],
        "tgkill": [(0, 0xFFFFFFFF, process)],
        "fcntl": [(1, 0xFFFFFFFF, command) for command in _GET_FLAGS],
    }
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, table.audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_EQUAL, _CLONE3, 0, 1),
        _instruction(_RETURN, _ERRNO | _ENOSYS),
    ]
    for name, number in sorted(table.calls.items()):
        rules = [
            part
            for argument, mask, value in with_rules.get(name, [])
            for part in (
                _instruction(_LOAD, _ARGUMENTS + 8 * argument),
                _instruction(_AND, mask),
                _instruction(_EQUAL, value, 0, 1),
                _instruction(_RETURN, _ALLOW),
            )
        ]
        verdict = [*rules, _instruction(_RETURN, _ERRNO | _EPERM)] if rules else [_instruction(_RETURN, _ALLOW)]
        # What belongs to a call is passed over, in one jump, where the call is another one.
        code += [_instruction(_EQUAL, number, 0, len(verdict)), *verdict]
    return b"".join([*code, _instruction(_RETURN, _ERRNO | _EPERM)])


def apply() -> None:
    """Put the filter on this process, for good. Raises OSError where the system does not let it."""
    code = program(platform.machine(), os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a count of instructions, padding, and where they are.
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer)), 16)
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    arguments = ctypes.c_ulong(_WITH_FILTER), ctypes.c_void_p(ctypes.addressof(header)), zero, zero
    for option, values in (
        (_SET_NO_NEW_PRIVILEGES, (ctypes.c_ulong(1), zero, zero, zero)),
        (_SET_SECCOMP, arguments),
    ):
        if libc.prctl(ctypes.c_int(option), *values):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
