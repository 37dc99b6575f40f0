"""Turns the CPU kernel's source into a loaded library with the machine's own compiler, once per machine.

The library is cached under a name made from everything that went into it, so a cache directory may be shared by
users, versions and machines. Whoever can write there runs code as every user of it. Nothing is compiled when this
module is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sifa_core.files import write_atomically
from sifa_core.paths import shipped

KERNELS = shipped("cuda")
"""Where the kernel sources lie."""

_COMMON_FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-Wno-psabi")
_FLAG_CHOICES = (
    ("-march=native", "-fopenmp"),
    ("-march=native", "-fopenmp-simd"),
    ("-fopenmp",),
    (),
)
"""Tried in this order; not every compiler has OpenMP or knows its host processor."""
_TIMEOUT_S = 120
_C_TYPES: dict[str, Any] = {
    "int": ctypes.c_int,
    "long long": ctypes.c_longlong,
    "int64_t": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


class BuildError(Exception):
    """The library could not be made on this machine; the message says why in one line."""


class NotReadyError(BuildError):
    """A kernel cannot be made ready now, but can be at another time."""


def cache_directory() -> Path:
    """SIFA_CACHE_DIR if set, else sifa_core in the user's cache directory; without a home, one for this process."""
    named = os.environ.get("SIFA_CACHE_DIR")
    if named:
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sifa_core"
    except RuntimeError:  # the user has no home directory
        return Path(_temporary_directory().name)


@functools.cache
def _temporary_directory() -> tempfile.TemporaryDirectory[str]:
    """Private and removed at exit: a fixed name in a shared folder could hold anybody's code."""
    return tempfile.TemporaryDirectory(prefix="sifa-")


@functools.cache
def problem_structure(kernels: str) -> type[ctypes.Structure]:
    """`struct Problem` of the kernels in folder `kernels`, "cpu" or "gpu". Raises BuildError where that is missing.

    Their header is the only definition, so a field cannot be in one order there and in another here.
    """
    header = KERNELS / kernels / "problem.h"
    try:
        text = header.read_text()
    except OSError as error:
        raise BuildError(f"{header} cannot be read") from error
    fields = re.findall(rf"^ +({'|'.join(_C_TYPES)}) (\w+);", text, flags=re.MULTILINE)
    return type("Problem", (ctypes.Structure,), {"_fields_": [(name, _C_TYPES[kind]) for kind, name in fields]})


def find_compiler() -> list[str]:
    """The command of a C++ compiler: CXX if set, else the first usual name on PATH. Raises BuildError if none."""
    named = os.environ.get("CXX")
    for command in [named] if named else ["c++", "g++", "clang++"]:
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    raise BuildError("there is no C++ compiler" if not named else f"the C++ compiler CXX={named} was not found")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]} could not be run: {error}") from error


def _processor() -> str:
    """What -march=native depends on. Elsewhere than on Linux the machine's name stands in for its processor."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        wanted = ("model name", "cpu family", "model\t", "flags", "Features", "CPU part", "isa")
        return platform.machine() + "".join(sorted({line for line in lines if line.startswith(wanted)}))
    return f"{platform.machine()} {platform.processor()} {platform.node()}"


def _compile(compiler: list[str], source: Path, output: Path) -> None:
    for flags in _FLAG_CHOICES:
        result = _run([*compiler, *_COMMON_FLAGS, *flags, str(source), "-o", str(output)])
        if result.returncode == 0:
            return
    reason = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
    raise BuildError(f"{compiler[0]} could not compile {source.name}: {reason}")


def _load(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BuildError(f"the library made from {path.name} cannot be loaded: {error}") from error


@functools.cache
def load_library(source_name: str) -> ctypes.CDLL:
    """The library made from KERNELS / source_name, built now if no cache has it. Raises BuildError.

    Processes that build the same library at once all succeed: each compiles to a place of its own and the last
    rename wins. If the cache cannot be written, the library lives in a temporary directory that is removed as soon
    as it is loaded.
    """
    source = KERNELS / source_name
    try:
        text = [file.read_bytes() for file in sorted(source.parent.iterdir()) if file.is_file()]
    except OSError as error:
        raise BuildError(f"{source.parent} cannot be read") from error
    compiler = find_compiler()
    version = _run([*compiler, "--version"]).stdout
    ingredients = repr((text, compiler, version, _COMMON_FLAGS, _FLAG_CHOICES, _processor()))
    key = hashlib.sha256(ingredients.encode()).hexdigest()[:32]
    cached = cache_directory() / f"sifa-{source.parent.name}-{key}.so"
    if cached.is_file():
        with contextlib.suppress(BuildError):
            return _load(cached)
    with tempfile.TemporaryDirectory(prefix="sifa-") as directory:
        built = Path(directory) / cached.name
        _compile(compiler, source, built)
        try:
            write_atomically(cached, built.read_bytes(), parents=True)
        except OSError:
            return _load(built)
    return _load(cached)
