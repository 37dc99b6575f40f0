"""Learnable groupwise correlation (CorrNet; Wang et al., CVPR 2020; Table 1e "Correlation").

For a cell p of frame t and each displacement d of a k x k square, group g of the channels gives

    S[g, d](p) = mean over c in g of  filter[c, d] * a[t][c](p) * a[t-1][c](p + d)

with zeros beyond the map; the first frame is correlated with itself. As in CorrNet's correlation-sum block, a comes
from a 1x1 convolution to a quarter of the channels, and a 1x1 convolution brings S back to C channels, to be added.
That last one is zero at first, so the module starts as the identity, and the filters at one, so S starts as a plain
correlation. Legend: B clips, T frames, C channels, R reduced channels, G groups, K = k*k displacements.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.layers.frames import neighbours
from sifa_core.layers.temporal import TemporalConfig, register_temporal

REDUCTION = 4
"""C / R."""
GROUP = 8
"""Channels of a group, R / G."""


@register_temporal("correlation")
class Correlation(nn.Module):
    """Adds how each cell matches its surroundings one frame earlier."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.groups = max(channels // (REDUCTION * GROUP), 1)
        reduced = self.groups * min(GROUP, max(channels // REDUCTION, 1))
        self.reduce = nn.Conv2d(channels, reduced, kernel_size=1, bias=False)
        self.filter = nn.Parameter(torch.ones(config.kernel_size**2, reduced))
        self.project = nn.Conv2d(self.groups * config.kernel_size**2, channels, kernel_size=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the projection; called again after a model's general initialisation."""
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(cast(Tensor, self.project.bias))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> the same shape."""
        return x + self.project(self.correlate(self.reduce(x), frames))

    def correlate(self, a: Tensor, frames: int) -> Tensor:
        """[B*T, R, H, W] -> S, [B*T, K*G, H, W], displacement by displacement, row by row."""
        height, width = a.shape[2:]
        before = F.pad(neighbours(a, frames, -1), [self.kernel_size // 2] * 4)
        scores = []
        for index in range(self.kernel_size**2):
            row, column = divmod(index, self.kernel_size)
            matches = a * before[:, :, row : row + height, column : column + width]
            weighted = matches * self.filter[index, :, None, None]
            scores.append(weighted.unflatten(1, (self.groups, -1)).mean(dim=2))
        return torch.cat(scores, dim=1)
