"""SIFA* of Table 1a: every frame gathers from both neighbours, `Y[t] = f[t] + A[t+1] + A[t-1]`.

Each direction has offsets of its own, estimated from that direction's frame pair, since forward and backward motion
differ in sign. The first frame stands to the previous one as the last stands to the next. A trace shows the attention
to the next frame, as for SIFA. Legend: B clips, T frames, C channels.
"""

from __future__ import annotations

from torch import Tensor

from sifa_core.layers.sifa import SIFA
from sifa_core.layers.temporal import TemporalConfig, register_temporal


@register_temporal("sifa_star")
class BidirectionalSIFA(SIFA):
    """A SIFA block to the next frame and a second one, `previous`, to the frame before."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__(channels, config)
        self.previous = SIFA(channels, config, step=-1)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """x: [B*T, C, H, W], T = `frames` consecutive rows a clip. Returns the same shape."""
        return self.previous.add_motion(self.add_motion(x, x, frames), x, frames)
