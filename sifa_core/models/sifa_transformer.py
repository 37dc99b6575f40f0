"""SIFA-Transformer: a Swin with SIFA after the window attention of one block in two (section 3.3, Fig. 4b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from sifa_core.errors import ConfigError
from sifa_core.fields import check_choice, check_counts, check_flags, check_fractions
from sifa_core.layers import SIFA, build_temporal
from sifa_core.layers.initialisation import initialise
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.models.configuration import STAGES, ArchitectureConfig, build_config, check_stages
from sifa_core.models.official_transformer import OFFICIAL, OfficialSIFA, TimeConvolution
from sifa_core.models.registry import register_model
from sifa_core.models.swin import PATCH, Head, PatchEmbed, PatchMerging, SwinBlock, SwinStage, to_tokens

PLACEMENTS = ("alternate", "every", "official")


@dataclass(frozen=True)
class SifaTransformerConfig(ArchitectureConfig):
    """Every field of SIFA-Transformer. Defaults are the paper's, with Swin-T."""

    layers: tuple[int, ...] = (2, 2, 6, 2)
    """Blocks in res2 to res5; the second of each pair has shifted windows."""
    width: int = 96
    """Channels of the patch embedding; doubled from stage to stage."""
    head_width: int = 32
    """Channels of an attention head; a narrower stage has one head."""
    window: int = 7
    """Side of an attention window in cells."""
    mlp_ratio: float = 4.0
    """Hidden channels of an MLP over its channels."""
    drop_path: float = 0.2
    """Stochastic depth of the last block, rising linearly from 0 at the first (Swin, section 4.1)."""
    patch_norm: bool = True
    """LayerNorm after the patch embedding, as in Swin."""
    stages: tuple[str, ...] = STAGES
    """Stages whose blocks have the temporal module; section 3.3 speaks of every two successive blocks."""
    blocks: str = "alternate"
    """Blocks that have it: the unshifted one of each pair (section 3.3), "every" block, or the authors' arrangement."""
    gate: str = "layernorm"
    """What the aggregate passes before it is added: the authors' LayerNorm from zero keeps ImageNet weights intact."""
    input_size: int = 224
    """Short side in pixels that a clip is resized to for inference."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stages(self)
        check_counts(self, "width", "head_width", "window")
        check_fractions(self, "drop_path")
        check_choice("blocks", self.blocks, PLACEMENTS)
        check_flags(self, "patch_norm")
        if isinstance(self.mlp_ratio, bool) or not isinstance(self.mlp_ratio, int | float) or not self.mlp_ratio > 0:
            raise ConfigError(f"mlp_ratio={self.mlp_ratio!r} is not possible; it is a number above 0.")
        for channels in (self.width * 2**index for index in range(len(STAGES))):
            if channels % self.heads(channels):
                raise ConfigError(f"head_width={self.head_width} is not possible; it does not divide {channels}.")
        if self.blocks == "official" and self.temporal not in ("none", "sifa_r"):
            raise ConfigError("blocks='official' is not possible without temporal='sifa_r', which the authors have.")

    def heads(self, channels: int) -> int:
        """Attention heads of a stage with `channels` channels."""
        return max(1, channels // self.head_width)


class SifaTransformer(VideoModel):
    """Clips [B, 3, T, H, W], normalised -> logits [B, classes]."""

    config: SifaTransformerConfig
    takes_any_size = False  # how far a map is filled up to whole windows, and whether they shift, depends on its sides

    def __init__(self, config: SifaTransformerConfig, name: str = "sifa_transformer") -> None:
        super().__init__()
        self.config = config
        self.temporal_stride = config.temporal_stride
        self.spatial_stride = PATCH * 2 ** (len(STAGES) - 1)
        self.patch_embed = PatchEmbed(config.width, config.temporal_stride, config.patch_norm)
        self.layers = nn.ModuleList(self._stage(index) for index in range(len(STAGES)))
        channels = config.width * 2 ** (len(STAGES) - 1)
        self.norm = nn.LayerNorm(channels)
        self.head = Head(channels, config.num_classes, config.dropout)
        labels = tuple(f"class {i}" for i in range(config.num_classes))
        self.info = ModelInfo(name, "untrained", labels, config.num_frames, config.input_size)
        self._initialise()

    def _stage(self, index: int) -> SwinStage:
        config, channels = self.config, self.config.width * 2**index
        first, last = sum(config.layers[:index]), max(1, sum(config.layers) - 1)
        blocks = [
            SwinBlock(
                channels,
                config.heads(channels),
                config.window,
                shift=config.window // 2 if position % 2 else 0,
                mlp_ratio=config.mlp_ratio,
                drop_path=config.drop_path * (first + position) / last,
                temporal=self._temporal(index, position),
            )
            for position in range(config.layers[index])
        ]
        return SwinStage(PatchMerging(channels // 2) if index > 0 else nn.Identity(), blocks)

    def _temporal(self, index: int, position: int) -> nn.Module | None:
        """What stands after the window attention of a block."""
        config, channels = self.config, self.config.width * 2**index
        if config.temporal == "none" or STAGES[index] not in config.stages:
            return None
        if config.blocks == "official":
            side = -(-config.input_size // (PATCH * 2**index))
            is_shifted = position % 2 == 1 and side > config.window
            return TimeConvolution(channels) if is_shifted else OfficialSIFA(channels, config)
        if config.blocks == "alternate" and position % 2:
            return None
        return build_temporal(config.temporal, channels, config)

    def _initialise(self) -> None:
        """Swin's start, truncated normal weights; temporal modules keep the start that they have in SIFA-Net."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self._blocks().values():
            if block.temporal is not None:
                initialise(block.temporal)

    def _blocks(self) -> dict[str, SwinBlock]:
        return {
            f"{stage}.{position}": cast(SwinBlock, block)
            for stage, layer in zip(STAGES, self.layers, strict=True)
            for position, block in enumerate(cast(SwinStage, layer).blocks)
        }

    def stage_outputs(self) -> dict[str, nn.Module]:
        """Stage name -> its last block; see VideoModel."""
        return {name.split(".")[0]: block for name, block in self._blocks().items()}

    def sifa_layers(self) -> dict[str, SIFA]:
        """Names such as "res5.0" -> SIFA blocks, in the order of the forward."""
        return {name: block.temporal for name, block in self._blocks().items() if isinstance(block.temporal, SIFA)}

    def forward(self, video: Tensor) -> Tensor:
        """[B, 3, T, H, W] -> logits [B, classes]. Raises ModelError for another shape."""
        self.check_input(video)
        x = self.patch_embed(video)
        frames = x.shape[0] // video.shape[0]
        for stage in self.layers:
            x = stage(x, frames)
        return self.head(self.norm(to_tokens(x)), frames)


PRESETS = {"official": OFFICIAL}


def _build(name: str, defaults: dict, fields: dict) -> SifaTransformer:
    return SifaTransformer(build_config(SifaTransformerConfig, name, defaults, fields), name)


@register_model(presets=PRESETS)
def sifa_transformer_tiny(**fields: object) -> SifaTransformer:
    """Small enough for two CPU cores. Two SIFA blocks in each of res4 and res5.

    Windows of 4 cells divide the maps of most pictures whose sides are multiples of 32 pixels.
    """
    small = {"layers": (2, 2, 4, 4), "width": 24, "head_width": 24, "window": 4, "mlp_ratio": 3.0, "drop_path": 0.1}
    return _build("sifa_transformer_tiny", small | {"num_classes": 15, "input_size": 112}, fields)


@register_model(presets=PRESETS)
def sifa_transformer_t(**fields: object) -> SifaTransformer:
    """SIFA-Transformer with a Swin-T."""
    return _build("sifa_transformer_t", {}, fields)


@register_model(presets=PRESETS)
def sifa_transformer_s(**fields: object) -> SifaTransformer:
    """SIFA-Transformer with a Swin-S."""
    return _build("sifa_transformer_s", {"layers": (2, 2, 18, 2), "drop_path": 0.3}, fields)


@register_model(presets=PRESETS)
def sifa_transformer_b(**fields: object) -> SifaTransformer:
    """SIFA-Transformer with a Swin-B."""
    return _build("sifa_transformer_b", {"layers": (2, 2, 18, 2), "width": 128, "drop_path": 0.5}, fields)


@register_model(presets=PRESETS)
def sifa_transformer_l(**fields: object) -> SifaTransformer:
    """SIFA-Transformer with a Swin-L."""
    return _build("sifa_transformer_l", {"layers": (2, 2, 18, 2), "width": 192, "drop_path": 0.5}, fields)
