"""Where the sampling offsets come from (paper, Eq. 4 and 5, Table 1b).

Offsets are [N, 2K, H, W], in cells; channel 2i is the vertical and 2i+1 the horizontal offset of tap i, as in
deformable convolution. All estimators but one look at a pair of frames, [N, C, H, W] each: `current`, whose cells are
the queries, and `memory`, the frame that is sampled. `ClipOffset` looks at whole clips. B clips, T frames, C channels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from sifa_core.layers.frames import fold_clips, unfold_clips


def temporal_difference(current: Tensor, memory: Tensor) -> Tensor:
    """Eq. 4: f[t+1] - f[t]."""
    return memory - current


def motion_saliency_map(current: Tensor, memory: Tensor) -> Tensor:
    """Eq. 5: sigmoid(f[t+1] - f[t]) * f[t+1], the map that offsets are estimated from; [N, C, H, W]."""
    return torch.sigmoid(temporal_difference(current, memory)) * memory


def residual_motion_saliency_map(current: Tensor, memory: Tensor) -> Tensor:
    """Eq. 5 plus f[t+1], as in the authors' code (the `msm_residual` field)."""
    return motion_saliency_map(current, memory) + memory


def next_frame(current: Tensor, memory: Tensor) -> Tensor:
    """Table 1b, Conv2D(f[t+1]): the sampled frame alone, as in a deformable convolution."""
    return memory


_SOURCES = {
    "msm": motion_saliency_map,
    "msm_residual": residual_motion_saliency_map,
    "difference": temporal_difference,
    "next": next_frame,
}


class OffsetConvolution(nn.Module):
    """A convolution to 2K channels that is zero at first: training starts from the regular grid."""

    conv: nn.Conv2d | nn.Conv3d
    source_name: str
    """What the offsets are computed from, as the `offset_from` field says it; see `build_offset_estimator`."""

    def reset_parameters(self) -> None:
        """Zero the convolution; called again after a model's general initialisation."""
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))


class ConvOffset(OffsetConvolution):
    """A 3x3 convolution over a motion cue of two frames."""

    def __init__(self, source: str, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.source_name = source
        self.source = _SOURCES[source]
        self.conv = nn.Conv2d(channels, 2 * kernel_size**2, kernel_size=3, padding=1)
        self.reset_parameters()

    def forward(self, current: Tensor, memory: Tensor) -> Tensor:
        """Two maps [N, C, H, W] -> offsets [N, 2K, H, W]."""
        return self.conv(self.source(current, memory))


class ClipOffset(OffsetConvolution):
    """Table 1b, Conv3D(f): a 3x3x3 convolution over the clip. Offsets of a sampled frame are centred on that frame."""

    source_name = "conv3d"

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, 2 * kernel_size**2, kernel_size=3, padding=1)
        self.reset_parameters()

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> for every frame the offsets to sample it with, [B*T, 2K, H, W]."""
        return fold_clips(self.conv(unfold_clips(x, frames)))


class RegularGrid(nn.Module):
    """No offsets: the k x k neighbourhood itself (SIFA_R of Table 1a)."""

    source_name = "regular"

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.offset_channels = 2 * kernel_size**2

    def forward(self, current: Tensor, memory: Tensor) -> Tensor:
        """Two maps [N, C, H, W] -> zeros [N, 2K, H, W]."""
        count, _, height, width = current.shape
        return current.new_zeros(count, self.offset_channels, height, width)


OffsetEstimator = ConvOffset | ClipOffset | RegularGrid


def build_offset_estimator(source: str, channels: int, kernel_size: int, *, residual: bool = False) -> OffsetEstimator:
    """The estimator for one value of the `offset_from` field, or for "regular"; `residual` is `msm_residual`."""
    if source == "regular":
        return RegularGrid(kernel_size)
    if source == "conv3d":
        return ClipOffset(channels, kernel_size)
    return ConvOffset("msm_residual" if source == "msm" and residual else source, channels, kernel_size)
