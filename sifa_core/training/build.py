"""The network that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sifa_core.errors import CheckpointError, ConfigError
from sifa_core.layers import SIFA
from sifa_core.models import create_model, load_model
from sifa_core.models.base import VideoModel
from sifa_core.models.imagenet import FROM_HUB, has_own_start
from sifa_core.models.official import official_architecture
from sifa_core.models.resnet import Bottleneck
from sifa_core.models.swin import SwinBlock
from sifa_core.models.weights_file import ENDINGS, check_fit, read_weights
from sifa_core.training.config import TrainConfig


def build_model(config: TrainConfig, labels: tuple[str, ...]) -> VideoModel:
    """An untrained or initialised network with the data set's classes.

    `model.weights` is "imagenet", "imagenet22k" or a file of an image network, see `create_model`; or a checkpoint of
    a video network, see `_start_from`. What was and was not taken is in `info.facts["start"]`. Raises ModelError and
    its subclasses; CheckpointError if the weights cannot be had or do not fit; ConfigError if offsets shall be drawn to
    the motion towards the next frame in a network that also looks back.
    """
    data, model = config.data, config.model
    fields = {"num_frames": data.num_frames, "input_size": data.crop, **model.fields, "num_classes": len(labels)}
    from_images = model.weights in FROM_HUB or _is_image_network(model.weights)
    network = create_model(model.name, weights=model.weights if from_images else None, **fields)
    if model.weights and not from_images:
        _start_from(network, model.weights)
    # those not named look back, or at frames pooled in pairs (a dual head): the clip's true motion is not theirs
    unnamed = {module for module in network.modules() if isinstance(module, SIFA)} - set(network.sifa_layers().values())
    if config.optimizer.offset_target == "motion" and unnamed:
        raise ConfigError(
            "optimizer.offset_target=motion is not possible for a network that also looks back or has a dual head."
        )
    network.info = dataclasses.replace(network.info, labels=labels)
    return network


def _start_from(network: VideoModel, weights: str) -> None:
    """Copy a video network into `network`, and note under `network.info.facts["start"]` what was and was not taken.

    Temporal modules and heads that do not fit keep the start that they have, so that classes and the `temporal` field
    may be others. Raises CheckpointError if anything else does not fit, or the weights are not trained.
    """
    start = load_model(weights)
    if not start.info.is_trained:
        raise CheckpointError(f"model.weights={weights} is no start: there are no trained weights of it here.")
    own, theirs = network.state_dict(), start.state_dict()
    taken = {key: value for key, value in theirs.items() if key in own and own[key].shape == value.shape}
    check_fit(own, theirs, start.info.source, network.info.name, has_own_start)
    network.load_state_dict(taken, strict=False)
    facts = {
        "weights": start.info.source,
        "taken": len(taken),
        "not_in_the_file": [key for key in own if key not in theirs],
        "left_out_of_the_file": [key for key in theirs if key not in taken],
    }
    network.info = dataclasses.replace(network.info, facts={**network.info.facts, "start": facts})


def _is_image_network(weights: str) -> bool:
    """Whether it is a file that does not say which video network it is for; this project's and the SIFA authors' do."""
    if Path(weights).suffix not in ENDINGS:
        return False
    state, metadata = read_weights(Path(weights))
    return "config" not in metadata and official_architecture(state) is None


def freeze_statistics(model: nn.Module) -> None:
    """Let batch normalisation use, and keep, the statistics that it has."""
    for module in batch_norms(model):
        module.eval()


@contextmanager
def keep_statistics(model: nn.Module) -> Iterator[None]:
    """Let a forward in training mode leave the running statistics as they are."""
    before = [(module, module.momentum, module.num_batches_tracked) for module in batch_norms(model)]
    for module, _, count in before:
        module.momentum = 0.0
        module.num_batches_tracked = None if count is None else count.clone()
    try:
        yield
    finally:
        for module, momentum, count in before:
            module.momentum, module.num_batches_tracked = momentum, count


def recompute_blocks(model: nn.Module, recomputing: Callable[[], AbstractContextManager[None]]) -> None:
    """Let every block be computed anew in the backward, so that only the maps between blocks stay in memory.

    Statistics of batch normalisation learn from the first of both forwards only. `recomputing` surrounds the second.
    """
    for block in model.modules():
        if isinstance(block, Bottleneck | SwinBlock):
            block.forward = _recomputed(block, recomputing)  # type: ignore[method-assign]


def _recomputed(block: nn.Module, recomputing: Callable[[], AbstractContextManager[None]]) -> Callable[..., Tensor]:
    forward = block.forward

    @contextmanager
    def again() -> Iterator[None]:
        with recomputing(), keep_statistics(block):
            yield

    def recomputed(x: Tensor, frames: int) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(x, frames)
        contexts = lambda: (nullcontext(), again())  # noqa: E731 - a name would say no more
        return checkpoint(forward, x, frames, use_reentrant=False, context_fn=contexts)

    return recomputed


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """All layers of batch normalisation."""
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
