"""What the SIFA operator accepts: one check, shared by every back end and by shape inference.

N images, C channels, H rows, W columns, K = kernel_size**2 taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from sifa_core.errors import ConfigError, ModelError

SCALES = ("mean", "none", "softmax")
MAX_KERNEL_SIZE = 9
Needs = tuple[bool, bool, bool]
"""Whether a gradient is needed of query, memory and offset."""
ALL: Needs = (True, True, True)
Gradients = tuple[torch.Tensor | None, ...]
"""Of query, memory and offset; None where no gradient is needed."""
_STORAGE = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Settings:
    """The operator's keyword arguments, checked."""

    kernel_size: int
    """Side of the square of taps, 1 to 9."""
    scale: str
    """"mean", "none" or "softmax"."""

    @property
    def taps(self) -> int:
        """K, the number of sampling points of a query."""
        return self.kernel_size * self.kernel_size

    def factor(self, channels: int) -> float:
        """What multiplies the dot product of a query of `channels` channels with one sample."""
        return 1.0 if self.scale == "none" else 1 / max(channels, 1)


class BackwardInputs(NamedTuple):
    """What a backward computes the gradients of query, memory and offset from."""

    grad_aggregate: torch.Tensor
    """[N, C, H, W]"""
    grad_weights: torch.Tensor | None
    """[N, K, H, W]; None stands for zeros."""
    query: torch.Tensor
    memory: torch.Tensor
    offset: torch.Tensor
    weights: torch.Tensor
    """[N, K, H, W], what the forward returned."""


def compute_dtype(storage: torch.dtype) -> torch.dtype:
    """Coordinates and sums are float32, or float64 where the features are."""
    return torch.float64 if storage is torch.float64 else torch.float32


def check(query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings) -> None:
    """Raise ConfigError for a bad setting and ModelError for tensors that do not fit each other."""
    if not 1 <= settings.kernel_size <= MAX_KERNEL_SIZE:
        raise ConfigError(f"kernel_size must be 1 to {MAX_KERNEL_SIZE}, not {settings.kernel_size}.")
    if settings.scale not in SCALES:
        raise ConfigError(f"scale must be one of {', '.join(SCALES)}, not {settings.scale!r}.")
    for name, tensor in (("query", query), ("memory", memory), ("offset", offset)):
        if tensor.dim() != 4:
            raise ModelError(f"{name} must have 4 dimensions [N, C, H, W], not {tensor.dim()}.")
        if tensor.dtype not in _STORAGE:
            raise ModelError(f"{name} must be float16, bfloat16, float32 or float64, not {tensor.dtype}.")
        if tensor.device != query.device:
            raise ModelError(f"{name} is on {tensor.device}, query on {query.device}; they must be on one device.")
    if memory.dtype != query.dtype:
        raise ModelError(f"query and memory must have one dtype, not {query.dtype} and {memory.dtype}.")
    batch, _, height, width = query.shape
    if memory.shape != query.shape:
        raise ModelError(f"memory must have query's shape {tuple(query.shape)}, not {tuple(memory.shape)}.")
    expected = (batch, 2 * settings.taps, height, width)
    if tuple(offset.shape) != expected:
        raise ModelError(
            f"offset must be {expected} for kernel_size={settings.kernel_size}, not {tuple(offset.shape)}."
        )
