"""SIFA_C of Table 1a: the correlation itself as a feature, in the place of the aggregate.

Section 3.1: earlier work takes the correlation matrix W_cor "as pixel-level displacement information" and augments the
feature map with it. So `Y[t] = f[t] + P W_cor`: the K correlations of a cell with the regular k x k cells around its
place in the next frame, mapped to C channels by a 1x1 convolution P. P is zero at first, so the block starts as the
identity. Legend: N frame pairs, C channels, K = k*k taps.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from sifa_core.layers.sifa import SIFA
from sifa_core.layers.temporal import TemporalConfig, register_temporal


@register_temporal("sifa_c")
class CorrelationSIFA(SIFA):
    """Adds the projected attention weights instead of the values that they weigh."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__(channels, config, deformable=False)
        self.project = nn.Conv2d(config.kernel_size**2, channels, kernel_size=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the projection; called again after a model's general initialisation."""
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(cast(Tensor, self.project.bias))

    def gather(self, current: Tensor, memory: Tensor, offset: Tensor) -> Tensor:
        """P W_cor; [N, C, H, W]."""
        _, weights = self.attention(current, memory, offset)
        return self.project(weights)
