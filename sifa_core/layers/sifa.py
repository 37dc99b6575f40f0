"""The SIFA block (paper, section 3.2): every frame attends to a deformable neighbourhood in the frame after it.

Legend: B clips, T frames, C channels, H x W cells, k kernel size, K = k*k taps; N = B*T (or B*(T-1) pairs).
"""

from __future__ import annotations

from torch import Tensor, nn

from sifa_core import ops
from sifa_core.layers.frames import frame_pairs
from sifa_core.layers.gates import build_gate
from sifa_core.layers.offset_estimators import ClipOffset, OffsetEstimator, build_offset_estimator
from sifa_core.layers.temporal import TemporalConfig, register_temporal


class InterFrameAttention(nn.Module):
    """Local attention of a query map over sampled points of a memory map (Eq. 1, 2, 6, 7).

    A module of its own so that a forward hook sees exactly the offsets and weights that the forward used.
    """

    def __init__(self, kernel_size: int, scale: str) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.scale = scale

    def forward(self, query: Tensor, memory: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] twice and offsets [N, 2K, H, W] in cells -> aggregate [N, C, H, W], weights [N, K, H, W]."""
        return ops.sifa_attention(query, memory, offset, kernel_size=self.kernel_size, scale=self.scale)


class SIFA(nn.Module):
    """Stand-alone Inter-Frame Attention: `Y[t] = f[t] + aggregate(f[t], f[t+1])` (Eq. 3 to 7).

    With `last_frame="self"` the last frame attends to itself and T frames come out (section 3.1); with "skip" it is
    left as it is, as in the authors' code. With `step` -1 frames attend to the one before, and the first is the last.
    """

    def __init__(self, channels: int, config: TemporalConfig, *, deformable: bool = True, step: int = 1) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.last_frame = config.last_frame
        self.step = step
        source = config.offset_from if deformable else "regular"
        self.offset: OffsetEstimator = build_offset_estimator(
            source, channels, config.kernel_size, residual=config.msm_residual
        )
        self.attention = InterFrameAttention(config.kernel_size, config.scale)
        self.gate = build_gate(config.gate, channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """x: [B*T, C, H, W], T = `frames` consecutive rows a clip. Returns the same shape."""
        return self.add_motion(x, x, frames)

    def add_motion(self, total: Tensor, x: Tensor, frames: int) -> Tensor:
        """`total` plus what the frames of x gather from their neighbours; all [B*T, C, H, W]."""
        skips = self.last_frame == "skip"
        if skips and frames == 1:  # there is no pair to attend over
            return total
        rows, memory_rows = frame_pairs(x.shape[0], frames, self.last_frame, x.device, self.step)
        current, memory = x[rows] if skips else x, x[memory_rows]
        if isinstance(self.offset, ClipOffset):
            offset = self.offset(x, frames)[memory_rows]
        else:
            offset = self.offset(current, memory)
        gathered = self.gate(self.gather(current, memory, offset)).to(total.dtype)  # under autocast gates give float32
        return total.index_put((rows,), total[rows] + gathered) if skips else total + gathered

    def gather(self, current: Tensor, memory: Tensor, offset: Tensor) -> Tensor:
        """What is added to the query: the aggregate of Eq. 2; [N, C, H, W]."""
        aggregate, _ = self.attention(current, memory, offset)
        return aggregate


@register_temporal("sifa")
def sifa(channels: int, config: TemporalConfig) -> SIFA:
    """The full block: offsets from `config.offset_from` (Table 1a "SIFA"; Table 1b)."""
    return SIFA(channels, config)


@register_temporal("sifa_r")
def sifa_regular(channels: int, config: TemporalConfig) -> SIFA:
    """Attention over the regular k x k grid, no offsets (Table 1a "SIFA_R")."""
    return SIFA(channels, config, deformable=False)
