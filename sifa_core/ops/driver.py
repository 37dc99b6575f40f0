"""Loads compiled kernels onto an NVIDIA device and launches them on PyTorch's current stream, by the driver's C API."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Sequence

import torch

_OUT_OF_MEMORY = 2
"""The driver's number for what PyTorch raises as `torch.OutOfMemoryError`."""


class DriverError(RuntimeError):
    """A call to the CUDA driver failed; the message names the kernel, the call and the driver's own words."""


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise DriverError(f"the CUDA driver cannot be loaded: {error}") from error


def _check(result: int, kernel: str, call: str) -> None:
    if result:
        words = ctypes.c_char_p()
        _library().cuGetErrorString(result, ctypes.byref(words))
        reason = words.value.decode() if words.value else f"error {result}"
        kind = torch.OutOfMemoryError if result == _OUT_OF_MEMORY else DriverError
        raise kind(f"{kernel}: {call} failed: {reason}")


def capability(device: torch.device) -> int:
    """The device's compute capability as one number: 90 for 9.0."""
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def _bind_context(kernel: str) -> None:
    """Give the calling thread the current device's primary context, the one PyTorch uses, unless it has a context.

    PyTorch's device guard leaves that to the first call of the CUDA runtime, which a new thread may not have made.
    """
    library, context, handle = _library(), ctypes.c_void_p(), ctypes.c_int()
    _check(library.cuCtxGetCurrent(ctypes.byref(context)), kernel, "cuCtxGetCurrent")
    if context:
        return
    _check(library.cuDeviceGet(ctypes.byref(handle), torch.cuda.current_device()), kernel, "cuDeviceGet")
    _check(library.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle), kernel, "cuDevicePrimaryCtxRetain")
    _check(library.cuCtxSetCurrent(context), kernel, "cuCtxSetCurrent")


def load(binary: bytes, kernel: str, device: torch.device) -> ctypes.c_void_p:
    """The function named `kernel` of a compiled module, on `device`. The module stays loaded."""
    with torch.cuda.device(device):
        _bind_context(kernel)
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        _check(_library().cuModuleLoadData(ctypes.byref(module), binary), kernel, "cuModuleLoadData")
        found = _library().cuModuleGetFunction(ctypes.byref(function), module, kernel.encode())
        _check(found, kernel, "cuModuleGetFunction")
        return function


def _address(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _stream() -> int:
    """The handle of the current device's current stream."""
    return int(torch.cuda.current_stream().cuda_stream)


def launch(
    function: ctypes.c_void_p,
    kernel: str,
    device: torch.device,
    blocks: int,
    threads: int,
    arguments: Sequence[ctypes.Structure | torch.Tensor | None],
) -> None:
    """Launch `blocks` x `threads` on the current stream of `device`; tensors are passed as addresses, None as null."""
    values = [value if isinstance(value, ctypes.Structure) else _address(value) for value in arguments]
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    with torch.cuda.device(device):
        _bind_context(kernel)
        stream = ctypes.c_void_p(_stream())
        result = _library().cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream, pointers, None)
    _check(result, kernel, "cuLaunchKernel")
