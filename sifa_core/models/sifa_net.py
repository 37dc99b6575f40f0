"""SIFA-Net: a ResNet with SIFA after the 3x3 convolution of the blocks in res3 to res5 (section 3.3, Fig. 4a)."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.layers import SIFA, build_temporal
from sifa_core.layers.initialisation import initialise
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.models.configuration import (
    STAGES,
    ArchitectureConfig,
    build_config,
    check_counts,
    check_stage_counts,
    make_tuples,
)
from sifa_core.models.registry import register_model
from sifa_core.models.resnet import EXPANSION, Bottleneck, Stem


@dataclass(frozen=True)
class SifaNetConfig(ArchitectureConfig):
    """Every switch of SIFA-Net. Defaults are the paper's SIFA-Net (16) with ResNet-50."""

    layers: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks in res2 to res5."""
    width: int = 64
    """Channels of the stem and of the first stage's bottlenecks; doubled from stage to stage."""

    def __post_init__(self) -> None:
        super().__post_init__()
        make_tuples(self, "layers")
        check_stage_counts(self, "layers", "blocks")
        check_counts(self, "width")


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
    return SifaNet(build_config(SifaNetConfig, name, defaults, switches), name)


@register_model()
def sifa_net_tiny(**switches: object) -> SifaNet:
    """Small enough for two CPU cores: the shipped demo model. Two SIFA blocks in each of res4 and res5."""
    small = {"layers": (1, 1, 2, 2), "width": 32, "num_classes": 15, "input_size": 112}
    return _build("sifa_net_tiny", small, switches)


@register_model()
def sifa_net_r50(**switches: object) -> SifaNet:
    """SIFA-Net with a ResNet-50."""
    return _build("sifa_net_r50", {}, switches)


@register_model()
def sifa_net_r101(**switches: object) -> SifaNet:
    """SIFA-Net with a ResNet-101."""
    return _build("sifa_net_r101", {"layers": (3, 4, 23, 3)}, switches)
