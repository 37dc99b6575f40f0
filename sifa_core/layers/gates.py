"""What the aggregate passes before it is added to the query (the `gate` field).

The learned gates start at zero, so a network initialised from ImageNet weights starts as the plain network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """One learned gain a channel (Touvron et al., ICCV 2021), here zero at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        return x * self.gain[:, None, None]


class LayerNormGate(nn.Module):
    """LayerNorm over channels whose gain starts at zero, as in the authors' SIFA-Transformer code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the gain; called again after a model's general initialisation."""
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def build_gate(name: str, channels: int) -> nn.Module:
    """The gate for one value of the field: "none", "channel" or "layernorm"."""
    if name == "none":
        return nn.Identity()
    return LayerScale(channels) if name == "channel" else LayerNormGate(channels)
