"""Global context of a clip, added to a block's residual branch (the `global_context` field; the authors' code).

The mean over all frames and places of a clip, through two linear layers, is added everywhere (GCNet, Cao et al. 2019,
with plain averaging). The second layer is zero at first, so the block starts as it is without; the authors' keeps
nn.Linear's start. B clips, T frames, C channels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

REDUCTION = 16
"""Channels over hidden units, as in the authors' code."""


class GlobalContext(nn.Module):
    """A vector per clip, from its mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, 1)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the second layer; called again after a model's general initialisation."""
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> [B*T, C, 1, 1], the same for all frames of a clip."""
        mean = x.mean(dim=(2, 3)).unflatten(0, (-1, frames)).mean(dim=1)
        context = self.expand(F.relu(self.reduce(mean)))
        return context.repeat_interleave(frames, dim=0)[:, :, None, None]
