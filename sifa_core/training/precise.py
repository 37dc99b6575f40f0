"""Precise batch normalisation (Wu & Johnson 2021): statistics measured over many clips with the weights held still.

The moving average of training mixes the statistics of weights that were there at different times. Training itself goes
on with its own average; what is measured here belongs to a copy that is validated and saved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from sifa_core.models.base import VideoModel
from sifa_core.training.build import batch_norms


def with_measured_statistics(
    model: VideoModel, videos: Iterable[Tensor], total: Callable[[Tensor], Tensor]
) -> VideoModel:
    """A copy of `model` whose batch statistics are the means over the batches `videos`, each [B, 3, T, H, W].

    `total` sums a tensor over all processes, of which some may have no batch; without any the copy is as the model.
    Random numbers of the run are not used up.
    """
    measured, count = copy.deepcopy(model), torch.zeros((), device=next(model.parameters()).device)

    def counted() -> Iterator[Tensor]:
        for video in videos:
            count.add_(1)
            yield video

    with torch.random.fork_rng(devices=[count.device] if count.is_cuda else []):  # dropout draws
        update_bn(counted(), measured)
    batches = total(count)
    if batches == 0:
        return copy.deepcopy(model)
    for module in batch_norms(measured):
        if module.running_mean is not None and module.running_var is not None:
            first = total(count * module.running_mean) / batches
            second = total(count * (module.running_var + module.running_mean.square())) / batches
            module.running_mean.copy_(first)
            module.running_var.copy_(second - first.square())
    return measured
