"""SIFA-Net: a ResNet with SIFA after the 3x3 convolution of the blocks in res3 to res5 (section 3.3, Fig. 4a).

Legend: B clips, T feature frames, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.errors import ConfigError
from sifa_core.fields import check_choice, check_counts, check_flags
from sifa_core.layers import SIFA, build_temporal
from sifa_core.layers.initialisation import initialise
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.models.configuration import STAGES, ArchitectureConfig, build_config, check_stages
from sifa_core.models.heads import average_heads
from sifa_core.models.official import OFFICIAL
from sifa_core.models.registry import register_model
from sifa_core.models.resnet import EXPANSION, Bottleneck, Stem, max_of_pairs

PLACEMENTS = ("every", "alternate")


@dataclass(frozen=True)
class SifaNetConfig(ArchitectureConfig):
    """Every field of SIFA-Net. Defaults are the paper's SIFA-Net (16) with ResNet-50."""

    layers: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks in res2 to res5."""
    width: int = 64
    """Channels of the stem and of the first stage's bottlenecks; doubled from stage to stage."""
    blocks: str = "every"
    """Blocks of `stages` that have the temporal module: "every" one (section 3.3), or, "alternate", every second one,
    the first of a stage not among them (the authors' code)."""
    global_context: bool = False
    """Whether the blocks of `stages` that "alternate" leaves without the module have global context (their code)."""
    dual_head: bool = False
    """Whether a second res5, on res4's features pooled in time, has a head of its own (their code). Training returns
    both heads' logits, [B, classes, 2], see `models.heads`; inference averages their softmaxes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stages(self)
        check_counts(self, "width")
        check_choice("blocks", self.blocks, PLACEMENTS)
        check_flags(self, "global_context", "dual_head")
        if self.global_context and self.blocks == "every":
            raise ConfigError("global_context=True is not possible without blocks='alternate', which leaves it room.")


class SifaNet(VideoModel):
    """Clips [B, 3, T, H, W], normalised -> logits [B, classes]."""

    config: SifaNetConfig
    layer1: nn.ModuleList
    layer2: nn.ModuleList
    layer3: nn.ModuleList
    layer4: nn.ModuleList

    def __init__(self, config: SifaNetConfig, name: str = "sifa_net") -> None:
        super().__init__()
        self.config = config
        self.temporal_stride = config.temporal_stride
        self.conv1 = Stem(config.width, config.temporal_stride)
        self.bn1 = nn.BatchNorm2d(config.width)
        channels = config.width
        for index, stage in enumerate(STAGES):
            self.add_module(f"layer{index + 1}", self._stage(stage, channels, stride=min(index, 1) + 1))
            previous, channels = channels, config.width * 2**index * EXPANSION
        self.fc = nn.Linear(channels, config.num_classes)
        if config.dual_head:
            self.layer4_dual = self._stage(STAGES[-1], previous, stride=1)
            self.fc_dual = nn.Linear(channels, config.num_classes)
        self.spatial_stride = 32
        labels = tuple(f"class {i}" for i in range(config.num_classes))
        self.info = ModelInfo(name, "untrained", labels, config.num_frames, config.input_size)
        initialise(self)

    def _stage(self, stage: str, channels: int, stride: int) -> nn.ModuleList:
        """The blocks of a stage that gets `channels` channels; its first block has the stride."""
        config, index = self.config, STAGES.index(stage)
        width, blocks = config.width * 2**index, nn.ModuleList()
        for position in range(config.layers[index]):
            is_inside = stage in config.stages
            is_chosen = is_inside and (config.blocks == "every" or position % 2 == 1)
            has_temporal = is_chosen and config.temporal != "none"
            temporal = build_temporal(config.temporal, width, config) if has_temporal else None
            has_context = config.global_context and is_inside and not is_chosen
            blocks.append(Bottleneck(channels, width, stride, temporal, has_context=has_context))
            channels, stride = width * EXPANSION, 1
        return blocks

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
        """Names such as "res5.2" -> SIFA blocks, in the order of the forward.

        Without those of the dual head: what they see are pairs of frames, which have no place in the clip's time.
        """
        return {name: block.temporal for name, block in self._blocks().items() if isinstance(block.temporal, SIFA)}

    def head_weight(self) -> Tensor | None:
        """The weight of the one linear layer after res5; see VideoModel. None for a dual head."""
        return None if self.config.dual_head else self.fc.weight

    def forward(self, video: Tensor) -> Tensor:
        """[B, 3, T, H, W] -> logits [B, classes], or [B, classes, 2] while a dual head is trained.

        Raises ModelError for another shape.
        """
        self.check_input(video)
        x = F.relu(self.bn1(self.conv1(video)), inplace=True)
        frames = x.shape[0] // video.shape[0]
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3):
            x = _run(stage, x, frames)
        logits = self._classify(self.layer4, self.fc, x, frames)
        if not self.config.dual_head:
            return logits
        both = torch.stack((logits, self._classify(self.layer4_dual, self.fc_dual, *max_of_pairs(x, frames))), dim=2)
        return both if self.training else average_heads(both)

    def _classify(self, res5: nn.ModuleList, head: nn.Module, x: Tensor, frames: int) -> Tensor:
        pooled = _run(res5, x, frames).mean(dim=(2, 3)).unflatten(0, (-1, frames)).mean(dim=1)
        return head(F.dropout(pooled, self.config.dropout, self.training))


def _run(stage: nn.ModuleList, x: Tensor, frames: int) -> Tensor:
    for block in stage:
        x = block(x, frames)
    return x


PRESETS = {"official": OFFICIAL}


def _build(name: str, defaults: dict, fields: dict) -> SifaNet:
    return SifaNet(build_config(SifaNetConfig, name, defaults, fields), name)


@register_model(presets=PRESETS)
def sifa_net_tiny(**fields: object) -> SifaNet:
    """Small enough for two CPU cores: the shipped demo model. Two SIFA blocks in each of res4 and res5."""
    small = {"layers": (1, 1, 2, 2), "width": 32, "num_classes": 15, "input_size": 112}
    return _build("sifa_net_tiny", small, fields)


@register_model(presets=PRESETS)
def sifa_net_r50(**fields: object) -> SifaNet:
    """SIFA-Net with a ResNet-50."""
    return _build("sifa_net_r50", {}, fields)


@register_model(presets=PRESETS)
def sifa_net_r101(**fields: object) -> SifaNet:
    """SIFA-Net with a ResNet-101."""
    return _build("sifa_net_r101", {"layers": (3, 4, 23, 3)}, fields)
