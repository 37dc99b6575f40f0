"""Precise batch normalisation (Wu & Johnson 2021): statistics measured over many clips with the weights held still.

The moving average of training mixes the statistics of weights that were there at different times. Training itself goes
on with its own average; what is measured here belongs to a copy that is validated and saved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from sifa_core.models.base import VideoModel
from sifa_core.training.build import batch_norms


def with_measured_statistics(
    model: VideoModel, videos: Iterable[Tensor], mean: Callable[[Tensor], Tensor]
) -> VideoModel:
    """A copy of `model` whose batch statistics are the means over the batches `videos`, each [B, 3, T, H, W].

    `mean` takes the mean of a tensor over all processes. Random numbers of the run are not used up.
    """
    measured = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[p.device for p in model.parameters() if p.is_cuda][:1]):  # dropout draws
        update_bn(videos, measured)
    for module in batch_norms(measured):
        if module.running_mean is not None and module.running_var is not None:
            first = mean(module.running_mean)
            second = mean(module.running_var + module.running_mean.square())
            module.running_mean.copy_(first)
            module.running_var.copy_(second - first.square())
    return measured
