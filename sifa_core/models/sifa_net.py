"""SIFA-Net: a ResNet with SIFA after the 3x3 convolution of the blocks in res3 to res5 (section 3.3, Fig. 4a)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.errors import ConfigError
from sifa_core.layers import SIFA, TemporalConfig, build_temporal, temporal_names
from sifa_core.layers.initialisation import initialise
from sifa_core.layers.registry import check_choice
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.models.registry import register_model
from sifa_core.models.resnet import EXPANSION, Bottleneck, Stem

STAGES = ("res2", "res3", "res4", "res5")
"""The paper's names of ResNet's stages; "res2" is torchvision's layer1."""


@dataclass(frozen=True)
class SifaNetConfig(TemporalConfig):
    """Every switch of SIFA-Net. Defaults are the paper's SIFA-Net (16) with ResNet-50."""

    num_classes: int = 400
    """Size of the linear head."""
    layers: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks in res2 to res5."""
    width: int = 64
    """Channels of the stem and of the first stage's bottlenecks; doubled from stage to stage."""
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
        for name in ("layers", "stages"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise ConfigError(f"{name}={value!r} is not possible; it is a list.")
            object.__setattr__(self, name, tuple(value))  # lists come from JSON and YAML
        check_choice("temporal", self.temporal, temporal_names())
        for stage in self.stages:
            check_choice("stages", stage, STAGES)
        if len(self.layers) != len(STAGES):
            raise ConfigError(f"layers={self.layers} needs {len(STAGES)} numbers, the blocks in {', '.join(STAGES)}.")
        positive = ("num_classes", "width", "temporal_stride", "num_frames", "input_size")
        counts = {f"layers[{index}]": count for index, count in enumerate(self.layers)}
        counts |= {name: getattr(self, name) for name in positive}
        for name, value in counts.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name}={value!r} is not possible; it is a whole number of at least 1.")
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout!r} is not possible; it lies from 0 up to, not including, 1.")


class SifaNet(VideoModel):
    """Clips (B, 3, T, H, W), normalised -> logits (B, classes)."""

    config: SifaNetConfig

    def __init__(self, config: SifaNetConfig, name: str = "sifa_net") -> None:
        super().__init__()
        self.config = config
        self.temporal_stride = config.temporal_stride
        self.conv1 = Stem(config.width, config.temporal_stride)
        self.bn1 = nn.BatchNorm2d(config.width)
        channels = config.width
        for index, stage in enumerate(STAGES):
            blocks, channels = self._stage(stage, index, channels)
            self.add_module(f"layer{index + 1}", blocks)
        self.fc = nn.Linear(channels, config.num_classes)
        self.spatial_stride = 32
        labels = tuple(f"class {i}" for i in range(config.num_classes))
        self.info = ModelInfo(name, "untrained", labels, config.num_frames, config.input_size)
        initialise(self)

    def _stage(self, stage: str, index: int, channels: int) -> tuple[nn.ModuleList, int]:
        config, width = self.config, self.config.width * 2**index
        blocks = nn.ModuleList()
        for position in range(config.layers[index]):
            stride = 2 if index > 0 and position == 0 else 1
            has_temporal = config.temporal != "none" and stage in config.stages
            temporal = build_temporal(config.temporal, width, config) if has_temporal else None
            blocks.append(Bottleneck(channels, width, stride, temporal))
            channels = width * EXPANSION
        return blocks, channels

    def _blocks(self) -> dict[str, Bottleneck]:
        return {
            f"{stage}.{position}": block
            for index, stage in enumerate(STAGES)
            for position, block in enumerate(getattr(self, f"layer{index + 1}"))
        }

    def stage_outputs(self) -> dict[str, nn.Module]:
        """Stage name -> its last block; see VideoModel."""
        return {name.split(".")[0]: block for name, block in self._blocks().items()}

    def sifa_layers(self) -> dict[str, SIFA]:
        """Names such as "res5.2" -> SIFA blocks, in the order of the forward."""
        return {name: block.temporal for name, block in self._blocks().items() if isinstance(block.temporal, SIFA)}

    def forward(self, video: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> logits (B, classes). Raises ModelError for another shape."""
        self.check_input(video)
        clips = video.shape[0]
        x = F.relu(self.bn1(self.conv1(video)), inplace=True)
        frames = x.shape[0] // clips
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for block in self._blocks().values():
            x = block(x, frames)
        pooled = x.mean(dim=(2, 3)).unflatten(0, (clips, frames)).mean(dim=1)
        return self.fc(F.dropout(pooled, self.config.dropout, self.training))


def _build(name: str, defaults: dict, switches: dict) -> SifaNet:
    known = {field.name for field in fields(SifaNetConfig)}
    unknown = sorted(set(switches) - known)
    if unknown:
        raise ConfigError(f"{name} has no switch {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return SifaNet(SifaNetConfig(**{**defaults, **switches}), name)


@register_model
def sifa_net_tiny(**switches: object) -> SifaNet:
    """Small enough for two CPU cores: the shipped demo model. Two SIFA blocks in each of res4 and res5."""
    small = {"layers": (1, 1, 2, 2), "width": 32, "num_classes": 15, "input_size": 112}
    return _build("sifa_net_tiny", small, switches)


@register_model
def sifa_net_r50(**switches: object) -> SifaNet:
    """SIFA-Net with a ResNet-50."""
    return _build("sifa_net_r50", {}, switches)


@register_model
def sifa_net_r101(**switches: object) -> SifaNet:
    """SIFA-Net with a ResNet-101."""
    return _build("sifa_net_r101", {"layers": (3, 4, 23, 3)}, switches)
