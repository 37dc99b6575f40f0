"""Temporal modules by name: what stands after the 3x3 convolution of a block (Tables 1a and 1e).

A module is built from its channel count and a `TemporalConfig`, and maps [B*T, C, H, W], T to the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from sifa_core.fields import check_choice, check_flags

OFFSET_SOURCES = ("msm", "difference", "next", "conv3d")
SCALES = ("mean", "none", "softmax")
LAST_FRAMES = ("self", "skip")
GATES = ("none", "channel", "layernorm")
KERNEL_SIZES = (1, 3, 5, 7, 9)


@dataclass(frozen=True)
class TemporalConfig:
    """The fields that a temporal module reads. Defaults are the paper's."""

    kernel_size: int = 3
    """Side k of the local region; K = k*k points are sampled (Table 1c)."""
    offset_from: str = "msm"
    """What the offsets are estimated from (Table 1b): "msm" Eq. 5, "difference" Eq. 4, "next" frame t+1 alone,
    "conv3d" a 3D convolution over the clip."""
    msm_residual: bool = False
    """Whether frame t+1 is added to the motion saliency map that offsets are estimated from (the authors' code)."""
    scale: str = "mean"
    """Scaling of the dot product: "mean" 1/C as in the authors' code, "none" as in Eq. 1, "softmax" over the taps."""
    last_frame: str = "self"
    """Whether the last frame attends to itself (section 3.1) or is left unchanged ("skip", the authors' code)."""
    gate: str = "none"
    """What the aggregate passes before it is added: nothing, a per-channel gain or a LayerNorm, both from zero."""

    def __post_init__(self) -> None:
        check_choice("kernel_size", self.kernel_size, KERNEL_SIZES)
        check_choice("offset_from", self.offset_from, OFFSET_SOURCES)
        check_choice("scale", self.scale, SCALES)
        check_choice("last_frame", self.last_frame, LAST_FRAMES)
        check_choice("gate", self.gate, GATES)
        check_flags(self, "msm_residual")


TemporalFactory = Callable[[int, TemporalConfig], nn.Module]
Factory = TypeVar("Factory", bound=TemporalFactory)
_FACTORIES: dict[str, TemporalFactory] = {}


def register_temporal(name: str) -> Callable[[Factory], Factory]:
    """Decorator: make a factory, which may be the module's class, known under `name`."""

    def register(factory: Factory) -> Factory:
        if name in _FACTORIES:
            raise ValueError(f"temporal module {name!r} is registered twice")
        _FACTORIES[name] = factory
        return factory

    return register


def temporal_names() -> tuple[str, ...]:
    """Every value that the `temporal` field takes; "none" leaves a plain 2D network."""
    return ("none", *sorted(_FACTORIES))


def build_temporal(name: str, channels: int, config: TemporalConfig) -> nn.Module:
    """The temporal module `name` for `channels` channels. Raises ConfigError for a name that is not registered."""
    check_choice("temporal", name, sorted(_FACTORIES))
    return _FACTORIES[name](channels, config)
