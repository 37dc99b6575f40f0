"""Compiles the GPU kernels at run time with NVRTC, the compiler library that comes with PyTorch's CUDA wheels.

No CUDA toolkit, no headers and no GPU are needed to compile. Binaries are cached by source, options, architecture and
NVRTC version. Nothing is loaded when this module is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import hashlib
import importlib.util
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sifa_core.files import write_atomically
from sifa_core.ops.build import KERNELS, BuildError, cache_directory

_DIGEST = 32
"""Bytes of the checksum that a cache entry begins with."""


def _folders() -> Iterator[Path]:
    """Where NVRTC may lie: the nvidia-* wheels, PyTorch's own libraries, a CUDA toolkit."""
    for package in ("nvidia", "torch"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield from sorted(Path(place).glob("*/lib"), reverse=True)
            yield from sorted(Path(place).glob("*/bin"), reverse=True)
            yield Path(place) / "lib"
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]) / "lib64"
            yield Path(os.environ[variable]) / "bin"


def _candidates() -> Iterator[Path]:
    for folder in _folders():
        for pattern in ("libnvrtc.so.*", "nvrtc64_*.dll"):
            found = (path for path in folder.glob(pattern) if ".alt." not in path.name)
            yield from sorted(found, key=lambda path: len(path.name))


@functools.cache
def _library() -> ctypes.CDLL:
    for path in _candidates():
        # NVRTC opens its builtins by bare name, which fails unless they are already in the process.
        for builtins in path.parent.glob("*nvrtc-builtins*"):
            if ".alt." not in builtins.name:
                with contextlib.suppress(OSError):
                    ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        with contextlib.suppress(OSError):
            return _declared(ctypes.CDLL(str(path)))
    name = ctypes.util.find_library("nvrtc")
    if name:
        with contextlib.suppress(OSError):
            return _declared(ctypes.CDLL(name))
    raise BuildError("the NVRTC library was not found")


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    library.nvrtcGetErrorString.restype = ctypes.c_char_p
    return library


def _check(result: int, what: str) -> None:
    if result:
        raise BuildError(f"NVRTC could not {what}: {_library().nvrtcGetErrorString(result).decode()}")


@functools.cache
def version() -> str:
    """NVRTC's version, for example "13.0". Raises BuildError where there is no NVRTC."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "say its version")
    return f"{major.value}.{minor.value}"


@functools.cache
def architectures() -> tuple[int, ...]:
    """Compute capabilities that NVRTC makes binaries for, for example (75, 80, ...), ascending."""
    count = ctypes.c_int()
    _check(_library().nvrtcGetNumSupportedArchs(ctypes.byref(count)), "count its architectures")
    numbers = (ctypes.c_int * count.value)()
    _check(_library().nvrtcGetSupportedArchs(numbers), "list its architectures")
    return tuple(sorted(numbers))


def target(capability: int) -> str:
    """The architecture to compile for: the device's own, else the newest one that its driver can translate."""
    known = architectures()
    if capability in known:
        return f"sm_{capability}"
    older = [number for number in known if number < capability]
    if not older:
        raise BuildError(f"NVRTC {version()} supports compute capability {known[0]} and newer, not {capability}")
    return f"compute_{older[-1]}"


def compile_kernels(source_name: str, options: Iterable[str], architecture: str) -> bytes:
    """The binary (cubin for sm_*, PTX for compute_*) of KERNELS / "gpu" / source_name. Raises BuildError."""
    folder = KERNELS / "gpu"
    try:
        source = (folder / source_name).read_bytes()
        headers = {path.name: path.read_bytes() for path in sorted(folder.glob("*.*h"))}
    except OSError as error:
        raise BuildError(f"{folder} cannot be read") from error
    flags = (f"--gpu-architecture={architecture}", "--std=c++17", *options)
    ingredients = repr((source, headers, flags, version()))
    key = hashlib.sha256(ingredients.encode()).hexdigest()[:32]
    cached = cache_directory() / f"sifa-{Path(source_name).stem}-{architecture}-{key}.bin"
    binary = _read_cache(cached)
    if binary is None:
        binary = _compile(source_name, source, headers, flags, cubin=architecture.startswith("sm_"))
        with contextlib.suppress(OSError):
            write_atomically(cached, hashlib.sha256(binary).digest() + binary, parents=True)
    return binary


def _read_cache(path: Path) -> bytes | None:
    """What the cache entry holds; None if there is none, or if it is not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, binary = content[:_DIGEST], content[_DIGEST:]
    return binary if hashlib.sha256(binary).digest() == digest else None


def _compile(name: str, source: bytes, headers: dict[str, bytes], flags: tuple[str, ...], cubin: bool) -> bytes:
    library, program = _library(), ctypes.c_void_p()
    texts = (ctypes.c_char_p * len(headers))(*headers.values())
    names = (ctypes.c_char_p * len(headers))(*(header.encode() for header in headers))
    created = library.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), len(headers), texts, names)
    _check(created, f"read {name}")
    try:
        arguments = (ctypes.c_char_p * len(flags))(*(flag.encode() for flag in flags))
        if library.nvrtcCompileProgram(program, len(flags), arguments):
            log = _output(program, "nvrtcGetProgramLog").decode(errors="replace").strip("\0 \n")
            raise BuildError(f"NVRTC could not compile {name} with {' '.join(flags)}: {log}")
        return _output(program, "nvrtcGetCUBIN" if cubin else "nvrtcGetPTX")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _output(program: ctypes.c_void_p, function: str) -> bytes:
    library, size = _library(), ctypes.c_size_t()
    _check(getattr(library, f"{function}Size")(program, ctypes.byref(size)), f"answer {function}Size")
    buffer = ctypes.create_string_buffer(size.value)
    _check(getattr(library, function)(program, buffer), f"answer {function}")
    return buffer.raw
