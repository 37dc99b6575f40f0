"""The offset loss: sampling points stay near their target unless going farther lowers the loss.

Nothing in the method bounds offsets. Trained from scratch they drift, step by step, to the far side of the frame, where
attention finds nothing; ImageNet initialisation and a smaller learning rate only slow that down. The target is the
cell itself, or, where clips are drawn and the truth is known, the place where the cell's content is in the next frame.

Legend: B clips, T feature frames, N = B*T or B*(T-1) pairs, K taps, H x W cells of a layer's map.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.data.motion15.motions import SMALL_CELL
from sifa_core.errors import ConfigError
from sifa_core.layers.sifa import InterFrameAttention

LEAST_MOTION = 0.25
"""Cells; what moves as far or farther counts as much as all that does not, however small it is."""


class OffsetLoss:
    """Hooks that remember the offsets, in cells, of every SIFA layer in the last forward.

    Args:
        model: whose SIFA layers are watched.
        weight: factor of the loss; with 0 nothing is hooked and the loss is 0.
    """

    def __init__(self, model: nn.Module, weight: float) -> None:
        self.weight = weight
        self._offsets: list[Tensor] = []
        self._is_paused = False
        for module in model.modules() if weight > 0 else ():
            if isinstance(module, InterFrameAttention):
                module.register_forward_hook(self._remember)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not look at forwards meanwhile."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def _remember(self, module: nn.Module, inputs: tuple[Tensor, Tensor, Tensor], output: Any) -> None:
        if torch.is_grad_enabled() and not self._is_paused:
            self._offsets.append(inputs[2].float())

    def __call__(self, motion: Tensor | None = None) -> Tensor | float:
        """The offset loss of the last forward, weight times the sum over layers; forgets it.

        Without `motion` it is the mean squared offset. With `motion` [B, T, rows, columns, 2], the true displacement
        of cells of 8 pixels in pixels, NaN where unknown, it is the distance of the offsets from that. `motion` may be
        on another device than the network: batches come from the CPU.
        """
        offsets, self._offsets = self._offsets, []
        if not offsets:
            return 0.0
        if motion is None:
            return self.weight * torch.stack([offset.square().mean() for offset in offsets]).sum()
        motion = motion.to(offsets[0].device, non_blocking=True)
        return self.weight * torch.stack([distance_from_motion(offset, motion) for offset in offsets]).sum()


def distance_from_motion(offset: Tensor, motion: Tensor) -> Tensor:
    """Smooth L1 distance (cells) of offsets [N, 2K, H, W] from the true motion, see `OffsetLoss`.

    In every clip the cells that move and those that do not weigh the same. Raises ConfigError if the map's cells are
    not whole numbers of cells of 8 pixels, or its frames not those that the motion is of.
    """
    clips, _, rows, columns, _ = motion.shape
    height, width = offset.shape[-2:]
    side = rows // height
    if side < 1 or (height * side, width * side) != (rows, columns):
        raise ConfigError("optimizer.offset_target=motion needs crops whose sides are multiples of 32 pixels.")
    blocks = motion.unflatten(3, (width, side)).unflatten(2, (height, side))
    target = blocks.nanmean(dim=(3, 5)) / (SMALL_CELL * side)  # [B, T, H, W, 2], x first
    attended = offset.shape[0] // clips
    if attended not in (target.shape[1], target.shape[1] - 1):
        raise ConfigError(
            "optimizer.offset_target=motion needs a network that merges four frames into one (temporal_stride=4)."
        )
    target = target[:, :attended].flip(-1).permute(0, 1, 4, 2, 3)  # y first, as in offsets
    known = ~target.isnan().any(dim=2)
    target = target.nan_to_num()
    points = offset.unflatten(0, (clips, -1)).unflatten(2, (-1, 2))  # [B, T, K, 2, H, W]
    distance = F.smooth_l1_loss(points, target[:, :, None].expand_as(points), reduction="none").mean(dim=(2, 3))
    moves = target.norm(dim=2) >= LEAST_MOTION
    groups = [(cells * known).float() for cells in (moves, ~moves)]
    return torch.stack(
        [((distance * group).sum((1, 2, 3)) / group.sum((1, 2, 3)).clamp_min(1)).mean() for group in groups]
    ).sum()
