"""The network that a configuration describes."""

from __future__ import annotations

import dataclasses

from torch import nn

from sifa_core.errors import CheckpointError, ConfigError
from sifa_core.models import create_model, load_model
from sifa_core.models.base import VideoModel
from sifa_core.training.config import TrainConfig

IMAGENET = "imagenet"


def build_model(config: TrainConfig, labels: tuple[str, ...]) -> VideoModel:
    """An untrained or initialised network with the data set's classes.

    A checkpoint as `model.weights` lends every tensor whose name and shape fit, so that a head for other classes starts
    afresh. Raises ModelError and its subclasses; CheckpointError if nothing fits;
    ConfigError for "imagenet", which is not available yet.
    """
    data, model = config.data, config.model
    switches = {"num_frames": data.num_frames, "input_size": data.crop, **model.switches, "num_classes": len(labels)}
    if model.weights == IMAGENET:
        raise ConfigError(
            "ImageNet weights cannot be fetched by this version; set model.weights to a checkpoint file, or to nothing "
            "(model.weights=) for random weights."
        )
    network = create_model(model.name, **switches)
    if model.weights:
        own, start = network.state_dict(), load_model(model.weights).state_dict()
        fitting = {key: value for key, value in start.items() if key in own and own[key].shape == value.shape}
        if not fitting:
            raise CheckpointError(f"No tensor of {model.weights} fits {model.name}.")
        network.load_state_dict(fitting, strict=False)
    network.info = dataclasses.replace(network.info, labels=labels)
    return network


def freeze_statistics(model: nn.Module) -> None:
    """Let batch normalisation use, and keep, the statistics that it has."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
