"""Where the sampling offsets come from (paper, Eq. 4 and 5, Table 1b).

Every estimator maps frame t and frame t+1, (N, C, H, W) each, to offsets (N, 2K, H, W) in cells; channel 2i is the
vertical and 2i+1 the horizontal offset of tap i, as in deformable convolution.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


def temporal_difference(current: Tensor, following: Tensor) -> Tensor:
    """Eq. 4: f[t+1] - f[t]."""
    return following - current


def motion_saliency_map(current: Tensor, following: Tensor) -> Tensor:
    """Eq. 5: sigmoid(f[t+1] - f[t]) * f[t+1], the map that offsets are estimated from; (N, C, H, W)."""
    return torch.sigmoid(temporal_difference(current, following)) * following


def next_frame(current: Tensor, following: Tensor) -> Tensor:
    """Table 1b, Conv2D(f[t+1]): the next frame alone, as in a deformable convolution."""
    return following


_SOURCES = {"msm": motion_saliency_map, "difference": temporal_difference, "next": next_frame}


class ConvOffset(nn.Module):
    """A 3x3 convolution over a motion cue, zero at first: training starts from the regular grid."""

    def __init__(self, source: str, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.source = _SOURCES[source]
        self.conv = nn.Conv2d(channels, 2 * kernel_size**2, kernel_size=3, padding=1)
        self.reset_special_parameters()

    def reset_special_parameters(self) -> None:
        """Zero the convolution; called again after a model's general initialisation."""
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))

    def forward(self, current: Tensor, following: Tensor) -> Tensor:
        """Two maps (N, C, H, W) -> offsets (N, 2K, H, W)."""
        return self.conv(self.source(current, following))


class RegularGrid(nn.Module):
    """No offsets: the k x k neighbourhood itself (SIFA_R of Table 1a)."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.offset_channels = 2 * kernel_size**2

    def forward(self, current: Tensor, following: Tensor) -> Tensor:
        """Two maps (N, C, H, W) -> zeros (N, 2K, H, W)."""
        count, _, height, width = current.shape
        return current.new_zeros(count, self.offset_channels, height, width)


def build_offset_estimator(source: str, channels: int, kernel_size: int) -> nn.Module:
    """The estimator for one value of the `offset_from` switch, or for "regular"."""
    if source == "regular":
        return RegularGrid(kernel_size)
    return ConvOffset(source, channels, kernel_size)
