"""Random starts. General rules run over a finished model once; modules with a start of their own get it back last."""

from __future__ import annotations

import torch
from torch import nn


def initialise(model: nn.Module) -> None:
    """He initialisation of convolutions and a narrow linear head, then `reset_parameters` of our own modules.

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
        reset = getattr(module, "reset_parameters", None)
        if reset is not None and not reset.__func__.__module__.startswith("torch."):  # those have been dealt with above
            reset()
