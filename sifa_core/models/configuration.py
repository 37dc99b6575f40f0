"""What the configurations of all architectures share: their common switches, the checks, and the way they are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sifa_core.errors import ConfigError
from sifa_core.layers import TemporalConfig, temporal_names
from sifa_core.layers.registry import check_choice

STAGES = ("res2", "res3", "res4", "res5")
"""The paper's names of the four stages; "res2" is torchvision's layer1 and Swin's first stage."""

Config = TypeVar("Config", bound="ArchitectureConfig")


@dataclass(frozen=True)
class ArchitectureConfig(TemporalConfig):
    """Switches of every architecture; each adds its own and may change defaults. Lists become tuples."""

    num_classes: int = 400
    """Size of the linear head."""
    temporal: str = "sifa"
    """The temporal module, or "none" for the plain 2D network (Tables 1a and 1e)."""
    stages: tuple[str, ...] = ("res3", "res4", "res5")
    """Stages whose blocks have the temporal module (Table 1d)."""
    temporal_stride: int = 4
    """Input frames that the stem merges into one feature frame."""
    dropout: float = 0.5
    """Dropout before the head (section 4.1)."""
    num_frames: int = 16
    """Frames of a clip, as trained."""
    input_size: int = 256
    """Short side in pixels that a clip is resized to for inference."""

    def __post_init__(self) -> None:
        super().__post_init__()
        make_tuples(self, "stages")
        check_choice("temporal", self.temporal, temporal_names())
        for stage in self.stages:
            check_choice("stages", stage, STAGES)
        check_counts(self, "num_classes", "temporal_stride", "num_frames", "input_size")
        check_shares(self, "dropout")


def make_tuples(config: object, *names: str) -> None:
    """Turn the fields `names`, which come as lists from JSON and YAML, into tuples. Raises ConfigError for others."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name}={value!r} is not possible; it is a list.")
        object.__setattr__(config, name, tuple(value))


def check_counts(config: object, *names: str) -> None:
    """Raise ConfigError unless the fields `names` are whole numbers of at least 1."""
    for name in names:
        _check_count(name, getattr(config, name))


def check_stage_counts(config: object, name: str, what: str) -> None:
    """Raise ConfigError unless the tuple `name` has one count for every stage; `what` is what it counts."""
    values = getattr(config, name)
    if len(values) != len(STAGES):
        raise ConfigError(f"{name}={values} needs {len(STAGES)} numbers, the {what} in {', '.join(STAGES)}.")
    for index, value in enumerate(values):
        _check_count(f"{name}[{index}]", value)


def check_shares(config: object, *names: str) -> None:
    """Raise ConfigError unless the fields `names` are numbers from 0 up to, not including, 1."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"{name}={value!r} is not possible; it lies from 0 up to, not including, 1.")


def build_config(kind: type[Config], name: str, defaults: Mapping[str, Any], switches: Mapping[str, Any]) -> Config:
    """The configuration of the model `name`: its `defaults` changed by `switches`. Raises ConfigError."""
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(switches) - known)
    if unknown:
        raise ConfigError(f"{name} has no switch {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return kind(**{**defaults, **switches})


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name}={value!r} is not possible; it is a whole number of at least 1.")
