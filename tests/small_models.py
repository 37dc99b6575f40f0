"""The one small model of all tests that look at explanations: untrained, but with offsets that are alive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from sifa_core.models import VideoModel, save_checkpoint
from sifa_core.models.checkpoint import untrained_model

NUM_LABELS = 15


def give_offsets(model: VideoModel, seed: int = 3) -> VideoModel:
    """The model itself, its offsets now random and of about a cell, other ones for each `seed`."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.sifa_layers().values():
        torch.nn.init.normal_(layer.offset.conv.weight, std=0.05, generator=generator)
        torch.nn.init.normal_(layer.offset.conv.bias, std=0.4, generator=generator)
    return model


def model_with_offsets(open_branches: bool = True) -> VideoModel:
    """The tiny model with random offsets of about a cell; a new one at every call.

    With `open_branches` what its blocks compute reaches the output, where it soon leaves the range of float16.
    """
    model = give_offsets(untrained_model("sifa_net_tiny").eval())
    for block in model.modules():
        if open_branches and hasattr(block, "bn3"):
            torch.nn.init.ones_(block.bn3.weight)
    return model


def save_with_offsets(path: Path, label: str | None = None, input_size: int | None = None) -> Path:
    """Weights of one's own, so that predictions are shown. `label` begins the name of every class.

    With a smaller `input_size`, in pixels of a clip's short side, all analyses take less time.
    """
    model = model_with_offsets(open_branches=False)
    if input_size is not None:
        model.info = replace(model.info, input_size=input_size)
    if label is not None:
        model.info = replace(model.info, labels=tuple(f"{label} {number}" for number in range(NUM_LABELS)))
    return save_checkpoint(path, model)
