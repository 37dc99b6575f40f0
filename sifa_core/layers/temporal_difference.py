"""Temporal differences, short- and long-term (TDN; Wang et al., CVPR 2021; Table 1e "Temporal Difference").

Short-term (section 3.2 there): what changes around a frame is convolved at half resolution and added to the frame. TDN
takes differences of raw frames beside the stem; a module inside a block has feature frames, and takes theirs.
Long-term (section 3.3 there): differences to the next and to the previous frame, aligned by a channel-wise convolution
and seen at three scales, excite channels: `y * (1 + (M+ + M-) / 2)`, M = sigmoid(.) - 1/2. The last norm of either part
starts at zero, so the module starts as the identity. Legend: B clips, T frames, C channels, R = C/16 reduced channels.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.layers.frames import inner_frames, neighbours
from sifa_core.layers.temporal import TemporalConfig, register_temporal

REDUCTION = 16
"""C / R, as in the original."""


class ConvNorm(nn.Sequential):
    """A convolution and a batch norm, which starts at zero on request."""

    def __init__(self, inputs: int, outputs: int, size: int, *, starts_at_zero: bool = False, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False, groups=groups), nn.BatchNorm2d(outputs)
        )
        self.starts_at_zero = starts_at_zero
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the norm's gain if asked for; called again after a model's general initialisation."""
        if self.starts_at_zero:
            nn.init.zeros_(cast(nn.BatchNorm2d, self[1]).weight)


class ShortTermDifference(nn.Module):
    """Adds the differences around each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(channels // REDUCTION, 1)
        self.reduce = ConvNorm(channels, reduced, 1)
        self.convolve = ConvNorm(2 * reduced, reduced, 3)
        self.expand = ConvNorm(reduced, channels, 1, starts_at_zero=True)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> the same shape."""
        reduced = self.reduce(x)
        differences = torch.cat(
            (reduced - neighbours(reduced, frames, -1), neighbours(reduced, frames, 1) - reduced), 1
        )
        halved = F.avg_pool2d(differences, 2, ceil_mode=True)
        motion = self.expand(F.relu(self.convolve(halved), inplace=True))
        return x + F.interpolate(motion, size=x.shape[2:])


class LongTermDifference(nn.Module):
    """Excites channels by the differences to both neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(channels // REDUCTION, 1)
        self.reduce = ConvNorm(channels, reduced, 1)
        self.align = nn.Conv2d(reduced, reduced, 3, padding=1, groups=reduced, bias=False)
        self.half_scale = ConvNorm(reduced, reduced, 3)
        self.full_scale = ConvNorm(reduced, reduced, 3)
        self.expand = ConvNorm(reduced, channels, 1, starts_at_zero=True)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> the same shape."""
        reduced = self.reduce(x)
        aligned = self.align(reduced)
        attention = [self._attend(reduced, neighbours(aligned, frames, step), frames, step) for step in (1, -1)]
        return x + x * (attention[0] + attention[1]) / 2

    def _attend(self, reduced: Tensor, aligned: Tensor, frames: int, step: int) -> Tensor:
        difference = (aligned - reduced) * inner_frames(reduced, frames, step)
        half = self.half_scale(F.avg_pool2d(difference, 2, ceil_mode=True))
        scales = difference + self.full_scale(difference) + F.interpolate(half, size=difference.shape[2:])
        return torch.sigmoid(self.expand(scales / 3)) - 0.5


@register_temporal("temporal_difference")
class TemporalDifference(nn.Module):
    """The short-term part, then the long-term part."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__()
        self.short_term = ShortTermDifference(channels)
        self.long_term = LongTermDifference(channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> the same shape."""
        return self.long_term(self.short_term(x, frames), frames)
