"""Random starts. General rules run over a finished model once; modules with a start of their own get it back last."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class SpecialStart(Protocol):
    """A module some of whose parameters must not start at random."""

    def reset_special_parameters(self) -> None:
        """Put the special values in place."""


def initialise(model: nn.Module) -> None:
    """He initialisation of convolutions and a narrow linear head, then every special start.

    Convolution weights are laid out channels_last, the format that the feature maps are in.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, SpecialStart):
            module.reset_special_parameters()
