"""A price on offsets: sampling points stay near their cells unless going farther lowers the loss.

Nothing in the method bounds offsets. Trained from scratch they drift, step by step, to the far side of the frame, where
attention finds nothing; ImageNet initialisation and a smaller learning rate only slow that down.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sifa_core.layers.sifa import InterFrameAttention


class OffsetPenalty:
    """Hooks that remember the mean squared offset, in cells, of every SIFA layer in the last forward.

    Args:
        model: whose SIFA layers are watched.
        weight: factor of the penalty; with 0 nothing is hooked and the penalty is 0.
    """

    def __init__(self, model: nn.Module, weight: float) -> None:
        self.weight = weight
        self._squares: list[Tensor] = []
        for module in model.modules() if weight > 0 else ():
            if isinstance(module, InterFrameAttention):
                module.register_forward_hook(self._remember)

    def _remember(self, module: nn.Module, inputs: tuple[Tensor, Tensor, Tensor], output: Any) -> None:
        if torch.is_grad_enabled():
            self._squares.append(inputs[2].float().square().mean())

    def take(self) -> Tensor | float:
        """The penalty of the last forward, weight times the sum over layers; forgets it."""
        squares, self._squares = self._squares, []
        return self.weight * torch.stack(squares).sum() if squares else 0.0
