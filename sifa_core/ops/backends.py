"""Which implementation of the operator runs, by device, data type and the SIFA_BACKEND environment variable.

SIFA_BACKEND is one of: auto (the fastest that works here), reference, dense, cpu, cuda.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch

from sifa_core.errors import ModelError, UnknownNameError
from sifa_core.ops import cpu, cuda, dense, reference, self_check
from sifa_core.ops.build import BuildError

NAMES = ("auto", "reference", "dense", "cpu", "cuda")
Pair = tuple[torch.Tensor, torch.Tensor]
Gradients = tuple[torch.Tensor | None, ...]


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
_CUDA = Backend("cuda", cuda.attention, cuda.attention_backward)


def requested() -> str:
    """The value of SIFA_BACKEND, "auto" when it is unset or empty. Raises UnknownNameError for any other name."""
    name = os.environ.get("SIFA_BACKEND") or "auto"
    if name not in NAMES:
        raise UnknownNameError(f"SIFA_BACKEND must be one of {', '.join(NAMES)}, not {name!r}.")
    return name


@functools.cache
def _why_not_cpu() -> str | None:
    """Build the CPU library; None, or the reason why that failed. The answer is kept for the life of the process."""
    try:
        cpu.prepare()
    except (BuildError, OSError, RuntimeError) as error:
        return str(error)
    return None


@functools.cache
def _why_not_cuda(device: torch.device, dtype: torch.dtype, ordered: bool) -> str | None:
    """Compile for the device and compare with the reference; None, or the reason against it. Kept for the process.

    `ordered` is whether sums are now formed in a fixed order, which takes another kernel.
    """
    if not torch.cuda.is_available():
        return "PyTorch sees no CUDA device"
    return self_check.why_wrong(cuda, device, dtype)


@functools.cache
def _notice(message: str) -> None:
    """Warn about `message` once per process."""
    warnings.warn(message, RuntimeWarning, stacklevel=2)


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
        ordered = torch.are_deterministic_algorithms_enabled()
        return _native(_CUDA, name, f"on {device}", _why_not_cuda(device, dtype, ordered))
    if name == "cuda":
        raise ModelError(f"SIFA_BACKEND=cuda takes float32, float16 and bfloat16 on NVIDIA devices, not {dtype}.")
    return _DENSE


def _native(native: Backend, name: str, where: str, reason: str | None) -> Backend:
    """The native back end, unless there is a `reason` against it."""
    if reason is None:
        return native
    if name == native.name:
        raise ModelError(f"SIFA_BACKEND={name} cannot be used {where}: {reason}.")
    _notice(f"The SIFA operator runs in its slower portable form {where}, because {reason}.")
    return _DENSE


def backend(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """Name of the back end that `sifa_attention` uses for tensors on `device`: reference, dense, cpu or cuda."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())  # as tensors say it, so that one check serves both
    return _select(requested(), device, dtype).name
