"""ResNet applied frame by frame, with a temporal module after the 3x3 convolution of chosen blocks.

Parameter names are torchvision's, so ImageNet weights load by name. Legend: B clips, T feature frames, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.layers.global_context import GlobalContext

EXPANSION = 4
"""Output channels of a bottleneck over its width."""


class Stem(nn.Module):
    """A convolution s x 7 x 7 with temporal stride s (the authors' code; s = 4 explains the paper's GFLOPs).

    Windows along time do not overlap, so it is computed as a 2D convolution over s frames stacked as channels:
    the same sums, and several times faster than a 3D convolution on a CPU.
    """

    def __init__(self, channels: int, temporal_stride: int) -> None:
        super().__init__()
        self.temporal_stride = temporal_stride
        self.weight = nn.Parameter(torch.empty(channels, 3, temporal_stride, 7, 7))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, video: Tensor) -> Tensor:
        """[B, 3, T*s, H, W] -> [B*T, C, H/2, W/2], rounded up; a window that is not full repeats the last frame."""
        missing = -video.shape[2] % self.temporal_stride
        if missing:
            video = torch.cat([video, video[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
        windows = video.unflatten(2, (-1, self.temporal_stride)).permute(0, 2, 4, 5, 1, 3)  # [B, T, H, W, 3, s]
        stacked = windows.flatten(4).flatten(0, 1).permute(0, 3, 1, 2)  # one copy, channels_last
        return F.conv2d(stacked, self.weight.flatten(1, 2), stride=2, padding=3)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with a shortcut (He et al. 2016); the temporal module follows the 3x3 (Fig. 4a).

    With `has_context`, the clip's global context joins what is added to the shortcut (the authors' code).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        temporal: nn.Module | None = None,
        *,
        has_context: bool = False,
    ) -> None:
        super().__init__()
        out_channels = width * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.temporal = temporal
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.context = GlobalContext(out_channels) if has_context else None
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def reset_parameters(self) -> None:
        """Start as the identity: the aggregate's size would otherwise slow learning down several times."""
        nn.init.zeros_(self.bn3.weight)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> [B*T, 4*width, H/stride, W/stride]; T = `frames`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        if self.temporal is not None:
            x = self.temporal(x, frames)
        x = self.bn3(self.conv3(x))
        if self.context is not None:
            x = x + self.context(x, frames)
        return F.relu(x + shortcut, inplace=True)


def max_of_pairs(x: Tensor, frames: int) -> tuple[Tensor, int]:
    """The larger of frames 0 and 1, of 2 and 3, and so on, [B*T, C, H, W] -> [B*(T//2), C, H, W], and T//2.

    A frame left over is dropped, as in the authors' code; a single frame stays.
    """
    if frames == 1:
        return x, 1
    clips = x.unflatten(0, (-1, frames))
    even = frames // 2 * 2
    return torch.maximum(clips[:, 0:even:2], clips[:, 1:even:2]).flatten(0, 1), frames // 2
