"""The network that a configuration describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from sifa_core.errors import CheckpointError, ConfigError
from sifa_core.layers import SIFA
from sifa_core.models import create_model, load_model
from sifa_core.models.base import VideoModel
from sifa_core.models.imagenet import IMAGENET
from sifa_core.models.official import official_architecture
from sifa_core.models.weights_file import ENDINGS, read_weights
from sifa_core.training.config import TrainConfig


def build_model(config: TrainConfig, labels: tuple[str, ...]) -> VideoModel:
    """An untrained or initialised network with the data set's classes.

    `model.weights` is "imagenet" or a file of an image network, see `create_model`; or a checkpoint of a video network,
    which lends every tensor whose name and shape fit, so that a head for other classes starts afresh. Raises ModelError
    and its subclasses; CheckpointError if the weights cannot be had or nothing fits; ConfigError if offsets shall be
    drawn to the motion towards the next frame in a network that also looks back.
    """
    data, model = config.data, config.model
    switches = {"num_frames": data.num_frames, "input_size": data.crop, **model.switches, "num_classes": len(labels)}
    from_images = model.weights == IMAGENET or _is_image_network(model.weights)
    network = create_model(model.name, weights=model.weights if from_images else None, **switches)
    if model.weights and not from_images:
        own, start = network.state_dict(), load_model(model.weights).state_dict()
        fitting = {key: value for key, value in start.items() if key in own and own[key].shape == value.shape}
        if not fitting:
            raise CheckpointError(f"No tensor of {model.weights} fits {model.name}.")
        network.load_state_dict(fitting, strict=False)
    # those not named look back, or at frames pooled in pairs (a dual head): the clip's true motion is not theirs
    unnamed = {module for module in network.modules() if isinstance(module, SIFA)} - set(network.sifa_layers().values())
    if config.optimizer.offset_target == "motion" and unnamed:
        raise ConfigError(
            "optimizer.offset_target=motion is not possible for a network that also looks back or has a dual head."
        )
    network.info = dataclasses.replace(network.info, labels=labels)
    return network


def _is_image_network(weights: str) -> bool:
    """Whether it is a file that does not say which video network it is for; this project's and the SIFA authors' do."""
    if Path(weights).suffix not in ENDINGS:
        return False
    state, metadata = read_weights(Path(weights))
    return "config" not in metadata and official_architecture(state) is None


def freeze_statistics(model: nn.Module) -> None:
    """Let batch normalisation use, and keep, the statistics that it has."""
    for module in _batch_norms(model):
        module.eval()


@contextmanager
def keep_statistics(model: nn.Module) -> Iterator[None]:
    """Let a forward in training mode leave the running statistics as they are."""
    momenta = {module: module.momentum for module in _batch_norms(model)}
    for module in momenta:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in momenta.items():
            module.momentum = momentum


def _batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
