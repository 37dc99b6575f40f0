"""The SIFA-Transformer of the authors' code (FuchenUSTC/SIFA, model/c2d_sifa_swin.py) and its checkpoints.

It departs from the paper: SIFA samples the regular grid (offsets are zeros), the last frame has no aggregate, blocks
with shifted windows have a convolution along time instead, and the patch embedding is not normalised. The MSM is
computed there and not used. At 224 pixels the last stage is one window, so none of its blocks is shifted and all have
SIFA.

`create_model("sifa_transformer_s", preset="official")` builds it; their checkpoints are of -S, -B and -L size.
Legend: B clips, T frames, C channels, H x W cells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sifa_core.errors import CheckpointError
from sifa_core.layers import SIFA, TemporalConfig

OFFICIAL: dict[str, Any] = {
    "temporal": "sifa_r",
    "blocks": "official",
    "stages": ("res2", "res3", "res4", "res5"),
    "last_frame": "skip",
    "gate": "layernorm",
    "scale": "mean",
    "patch_norm": False,
}
"""Fields of SIFA-Transformer that give the authors' network."""


class OfficialSIFA(SIFA):
    """SIFA over the regular grid. The last frame's aggregate is zero, and passes the gate, which makes it its bias."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__(channels, config, deformable=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """x: [B*T, C, H, W], T = `frames`. Returns the same shape."""
        is_last = torch.arange(x.shape[0], device=x.device) % frames == frames - 1
        bias = self.gate(x.new_zeros(1, x.shape[1], 1, 1))
        return super().forward(x, frames) + is_last.to(x.dtype)[:, None, None, None] * bias


class TimeConvolution(nn.Module):
    """A residual convolution over three frames, zero at first; the clip is padded with zeros."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the convolution, as the authors do to start from ImageNet weights."""
        nn.init.zeros_(self.conv.weight)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """x: [B*T, C, H, W], T = `frames`. Returns the same shape."""
        height, width = x.shape[2:]
        in_time = x.unflatten(0, (-1, frames)).permute(0, 2, 3, 4, 1).flatten(2, 3)  # [B, C, H*W, T]
        change = self.conv(in_time).unflatten(2, (height, width))
        return x + change.permute(0, 4, 1, 2, 3).flatten(0, 1)


_BLOCK = re.compile(r"(layers\.\d+\.blocks\.\d+)\.(.+)")
_DOWNSAMPLE = re.compile(r"layers\.(\d+)\.downsample\.(.+)")


def is_official_transformer(state: Mapping[str, Tensor]) -> bool:
    """Whether these tensors, named without "module.", are the authors' SIFA-Transformer."""
    return (
        dimensions(state, r"patch_embed\.proj\.weight") == {5}
        and dimensions(state, r"fc\.weight") == {2}
        and dimensions(state, r".+\.tda_norm\.weight") == {1}
        and dimensions(state, r".+\.def_cor\.weight") <= {4}
    )


def dimensions(state: Mapping[str, Tensor], pattern: str) -> set[int]:
    """How many dimensions the tensors have whose whole names match `pattern`; an empty tensor counts as having none."""
    return {value.ndim if value.numel() else 0 for key, value in state.items() if re.fullmatch(pattern, key)}


def check_scale(key: str, value: Tensor) -> None:
    """Raise CheckpointError unless a correlation's frozen scale [C, T, k, k] is 1/C."""
    channels = value.shape[0]
    if not (value.float() * channels - 1).abs().max() < 1e-3:
        raise CheckpointError(f"{key} is not 1/{channels} throughout, so its attention cannot be expressed here.")


def convert_official_transformer(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint of the authors' SIFA-Transformer under the names of `preset="official"`, ready for load_state_dict.

    Dropped are the tensors that their forward never uses (the time convolution of blocks with SIFA, the LayerNorm of
    the others), buffers that follow from the sizes (window masks, position indices), and the correlation's
    frozen scale, which must be 1/C.

    Raises:
        CheckpointError: it is not such a checkpoint, or its scale is another.
    """
    state = {key.removeprefix("module."): value for key, value in state_dict.items()}
    if not is_official_transformer(state):
        raise CheckpointError("This is not a checkpoint of the authors' SIFA-Transformer.")
    converted: dict[str, Tensor] = {}
    for key, value in state.items():
        if block := _BLOCK.fullmatch(key):
            has_shifted_windows = f"{block[1]}.attn_mask" in state
            name = _name_in_block(block[2], has_shifted_windows)
            if block[2] == "def_cor.weight":
                check_scale(key, value)
            if name is not None:
                converted[f"{block[1]}.{name}"] = value
        elif merging := _DOWNSAMPLE.fullmatch(key):  # patches are merged where a stage ends there, where it begins here
            converted[f"layers.{int(merging[1]) + 1}.downsample.{merging[2]}"] = value
        else:
            converted[f"head.{key}" if key.startswith("fc.") else key] = value
    return converted


def _name_in_block(name: str, has_shifted_windows: bool) -> str | None:
    """Our name of a block's tensor, or None if it is not needed."""
    if name in ("attn_mask", "attn.relative_position_index", "def_cor.weight"):
        return None
    if name == "conv.weight":
        return "temporal.conv.weight" if has_shifted_windows else None
    if name.startswith("tda_norm."):
        return None if has_shifted_windows else f"temporal.gate.norm.{name.removeprefix('tda_norm.')}"
    return name
