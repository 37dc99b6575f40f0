"""Temporal shift (TSM; Lin, Gan and Han, ICCV 2019; Table 1e "Temporal Shift"): no parameters, no multiplications.

The first eighth of the channels comes from the next frame, the second eighth from the previous one, the rest stays;
zeros come in where the clip ends. The original stands in the residual branch before its first convolution, here it
follows the 3x3 convolution like every temporal module of Table 1e. Made out of place. B clips, T frames, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.layers.temporal import TemporalConfig, register_temporal

EVERY = 8
"""One channel in so many moves each way (the original's best)."""


@register_temporal("temporal_shift")
class TemporalShift(nn.Module):
    """Moves some channels by a frame."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__()
        self.moved = min(max(channels // EVERY, 1), channels // 2)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> the same shape."""
        clips = x.permute(0, 2, 3, 1).unflatten(0, (-1, frames))  # [B, T, H, W, C], as channels_last lies in memory
        from_next, from_previous, unmoved = clips.tensor_split((self.moved, 2 * self.moved), dim=-1)
        from_next = F.pad(from_next[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
        from_previous = F.pad(from_previous[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
        return torch.cat((from_next, from_previous, unmoved), dim=-1).flatten(0, 1).permute(0, 3, 1, 2)
