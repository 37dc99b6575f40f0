"""Which implementation of the operator runs, by device, data type and the SIFA_BACKEND environment variable.

SIFA_BACKEND is one of: auto (the fastest that works here), reference, dense, cpu, cuda.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from sifa_core.errors import ModelError, UnknownNameError
from sifa_core.ops import cpu, cuda, dense, reference, self_check
from sifa_core.ops.arguments import BackwardInputs, Gradients
from sifa_core.ops.build import BuildError, NotReadyError

NAMES = ("auto", "reference", "dense", "cpu", "cuda")
Pair = tuple[torch.Tensor, torch.Tensor]


class Backend(NamedTuple):
    """One implementation: its name and the two functions every implementation has."""

    name: str
    attention: Callable[..., Pair]
    attention_backward: Callable[..., Gradients]


# Autograd differentiates the definition before a back end is asked; only graphs that were compiled for another back end
# still ask for a backward.
_REFERENCE = Backend("reference", reference.attention, dense.attention_backward)
_DENSE = Backend("dense", dense.attention, dense.attention_backward)
_CPU = Backend("cpu", cpu.attention, cpu.attention_backward)


def requested() -> str:
    """The value of SIFA_BACKEND, "auto" when it is unset or empty. Raises UnknownNameError for any other name."""
    name = os.environ.get("SIFA_BACKEND") or "auto"
    if name not in NAMES:
        raise UnknownNameError(f"SIFA_BACKEND must be one of {', '.join(NAMES)}, not {name!r}.")
    return name


@functools.cache
def _why_not_cpu() -> str | None:
    """Build the CPU library; None, or the reason why that failed. The answer holds for the life of the process."""
    try:
        cpu.prepare()
    except (BuildError, OSError, RuntimeError) as error:
        return str(error)
    return None


_VERDICTS: dict[tuple[torch.device, torch.dtype], str | None] = {}


def _why_not_cuda(device: torch.device, dtype: torch.dtype) -> str | None:
    """Compile for the device and compare with the reference; None, or the reason against it.

    That numbers are right or wrong, or that nothing can be compiled, holds for the life of the process. What may be
    otherwise at the next call is asked again then; a lack of memory is raised, as by any other operation.
    """
    if not torch.cuda.is_available():
        return "PyTorch sees no CUDA device"
    if (device, dtype) not in _VERDICTS:
        if torch.cuda.is_current_stream_capturing():
            return "its first call came while a CUDA graph was captured; make one call before that"
        try:
            _VERDICTS[device, dtype] = self_check.check_backend(cuda, device, dtype)
        except torch.OutOfMemoryError:
            raise
        except (NotReadyError, RuntimeError) as error:
            return str(error)
    return _VERDICTS[device, dtype]


@functools.cache
def _notice(message: str) -> None:
    """Warn about `message` once per process."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)


def _fall_back(native: str, name: str, where: str, reason: str) -> None:
    """Say once that the portable form runs instead of `native`; ModelError if that was asked for by `name`."""
    if name == native:
        raise ModelError(f"SIFA_BACKEND={name} cannot be used {where}: {reason}.")
    _notice(f"The SIFA operator runs in its slower portable form {where}, because {reason}.")


def _or_portable(native: Callable[..., Any], portable: Callable[..., Any]) -> Callable[..., Any]:
    """`native`; `portable`, with one notice, for a shape whose kernel cannot be built. By name: ModelError."""

    @functools.wraps(native)
    def call(*arguments: Any) -> Any:
        try:
            return native(*arguments)
        except BuildError as error:
            query = arguments[0].query if isinstance(arguments[0], BackwardInputs) else arguments[0]
            where = f"for {'x'.join(map(str, query.shape))} {query.dtype} on {query.device}"
            _fall_back("cuda", requested(), where, str(error))
        return portable(*arguments)

    return call


_CUDA = Backend(
    "cuda",
    _or_portable(cuda.attention, dense.attention),
    _or_portable(cuda.attention_backward, dense.attention_backward),
)


def select(query: torch.Tensor) -> Backend:
    """The implementation for this query; without a single number in it there is nothing to be fast at."""
    name = requested()
    if not query.numel() and name != "reference":
        return _DENSE
    return _select(name, query.device, query.dtype)


def _select(name: str, device: torch.device, dtype: torch.dtype) -> Backend:
    """The implementation that `name` means for tensors of this device and data type.

    "auto" falls back to the portable form with one notice; a back end asked for by name must work or ModelError is
    raised.
    """
    if name == "reference":
        return _REFERENCE
    if name == "dense":
        return _DENSE
    if name in ("cpu", "cuda") and name != device.type:
        raise ModelError(f"SIFA_BACKEND={name} cannot work on tensors that are on {device}.")
    if device.type == "cpu":
        return _native(_CPU, name, "on this machine", _why_not_cpu())
    if device.type == "cuda" and dtype in cuda.STORAGE and torch.version.hip is None:
        return _native(_CUDA, name, f"on {device}", _why_not_cuda(device, dtype))
    if name == "cuda":
        raise ModelError(f"SIFA_BACKEND=cuda takes float32, float16 and bfloat16 on NVIDIA devices, not {dtype}.")
    return _DENSE


def _native(native: Backend, name: str, where: str, reason: str | None) -> Backend:
    """The native back end, unless there is a `reason` against it."""
    if reason is None:
        return native
    _fall_back(native.name, name, where, reason)
    return _DENSE


def backend(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """Name of the back end that `sifa_attention` uses for tensors on `device`: reference, dense, cpu or cuda."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())  # as tensors say it, so that one check serves both
    return _select(requested(), device, dtype).name
