"""What the configurations of all architectures share: their common fields, the checks, and the way they are built."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sifa_core.errors import ConfigError
from sifa_core.fields import check_choice, check_counts, check_fractions, make_tuples, unknown_field
from sifa_core.layers import TemporalConfig, temporal_names

STAGES = ("res2", "res3", "res4", "res5")
"""The paper's names of the four stages; "res2" is torchvision's layer1 and Swin's first stage."""

Config = TypeVar("Config", bound="ArchitectureConfig")


@dataclass(frozen=True)
class ArchitectureConfig(TemporalConfig):
    """Fields of every architecture; each adds its own and may change defaults. Lists become tuples."""

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
        check_fractions(self, "dropout")


def check_stages(config: ArchitectureConfig) -> None:
    """Make a tuple of `layers` and raise ConfigError unless it has a count of blocks for every stage."""
    make_tuples(config, "layers")
    values = vars(config)["layers"]
    if len(values) != len(STAGES):
        raise ConfigError(f"layers={values} needs {len(STAGES)} numbers, the blocks in {', '.join(STAGES)}.")
    check_counts(config, "layers")


def build_config(kind: type[Config], name: str, defaults: Mapping[str, Any], fields: Mapping[str, Any]) -> Config:
    """The configuration of the model `name`: its `defaults` changed by `fields`. Raises ConfigError."""
    known = sorted(field.name for field in dataclasses.fields(kind))
    if unknown := sorted(set(fields) - set(known)):
        raise unknown_field(unknown, known, name)
    return kind(**{**defaults, **fields})
