"""Which implementation of the operator runs, by device, data type and the SIFA_BACKEND environment variable.

SIFA_BACKEND is one of: auto (the fastest that works here), reference, dense, cpu, cuda.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import torch

from sifa_core.errors import UnknownNameError
from sifa_core.ops import dense, reference

NAMES = ("auto", "reference", "dense", "cpu", "cuda")
Pair = tuple[torch.Tensor, torch.Tensor]
Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Backend(NamedTuple):
    """One implementation: its name and the two functions every implementation has."""

    name: str
    attention: Callable[..., Pair]
    attention_backward: Callable[..., Triple]


_REFERENCE = Backend("reference", reference.attention, reference.attention_backward)
_DENSE = Backend("dense", dense.attention, dense.attention_backward)


def requested() -> str:
    """The value of SIFA_BACKEND, "auto" when it is unset or empty. Raises UnknownNameError for any other name."""
    name = os.environ.get("SIFA_BACKEND") or "auto"
    if name not in NAMES:
        raise UnknownNameError(f"SIFA_BACKEND must be one of {', '.join(NAMES)}, not {name!r}.")
    return name


def select(device: torch.device, dtype: torch.dtype) -> Backend:
    """The implementation for tensors of this device and data type."""
    name = requested()
    if name == "reference":
        return _REFERENCE
    return _DENSE


def backend(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """Name of the back end that `sifa_attention` uses for tensors on `device`: reference, dense, cpu or cuda."""
    return select(torch.device(device), dtype).name
