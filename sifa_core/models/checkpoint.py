"""Reading and writing weights. A checkpoint is one .safetensors file that says how to build its model.

Its metadata holds JSON: "config" (see `VideoModel.description`), "labels" and "facts" (data, seed, metrics).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from sifa_core.errors import CheckpointError, UnknownNameError
from sifa_core.files import replacing
from sifa_core.models.base import VideoModel
from sifa_core.models.hub import HUB_PREFIX, download
from sifa_core.models.official import convert_official, official_architecture
from sifa_core.models.registry import build_from_fields, create_model, model_names
from sifa_core.models.weights_file import ENDINGS, check_description, check_fit, plain_names, read_weights
from sifa_core.paths import CHECKPOINTS

FORMAT = "sifa-explorer/1"
SHIPPED = ("sifa_net_tiny",)
"""Models whose weights come with the repository."""


def save_checkpoint(path: str | Path, model: VideoModel, facts: dict[str, Any] | None = None) -> Path:
    """Write weights, configuration, labels and facts as one .safetensors file, replacing it in one step.

    Raises CheckpointError if the place cannot be written to.
    """
    path = Path(path)
    metadata = {"config": model.description(), "labels": model.info.labels, "facts": facts or {}}
    encoded = {"format": FORMAT} | {key: json.dumps(value) for key, value in metadata.items()}
    state = {key: value.detach().cpu().contiguous() for key, value in plain_names(model.state_dict()).items()}
    try:
        with replacing(path, parents=True) as draft:
            safetensors.torch.save_file(state, draft, metadata=encoded)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path.name} cannot be written: {error.strerror}.") from error
    return path


def load_model(
    name: str | Path, *, architecture: str | None = None, labels: Sequence[str] | None = None, device: str = "cpu"
) -> VideoModel:
    """A model ready for inference, in evaluation mode.

    Args:
        name: a registry name (its shipped weights, or seeded random ones where none are shipped), a local
            .safetensors, .pth, .pt, .bin or .ckpt file, or "hf://user/repo" for `model.safetensors` on the Hugging Face
            Hub. Files of the authors' code are recognised by their names and converted (see `models.official`).
        architecture: the registry name to build, for files that do not say it themselves.
        labels: class names, for files that do not bring them.
        device: where the model goes, e.g. "cuda".

    Raises:
        UnknownNameError: neither a registry name nor a file.
        CheckpointError: the file cannot be read, is not there, or does not fit; unmatched keys are listed.
        ConfigError: the file's configuration has unknown or impossible fields.
    """
    text = str(name)
    if text.startswith(HUB_PREFIX):
        model = _from_file(download(text.removeprefix(HUB_PREFIX)), architecture, labels, "own")
    elif text in model_names():
        shipped = CHECKPOINTS / f"{text}.safetensors"
        if text in SHIPPED and not shipped.exists():
            raise CheckpointError(
                f"The weights of {text} are not installed: they come with the repository, so run from a copy of it."
            )
        model = _from_file(shipped, None, labels, "demo") if shipped.exists() else untrained_model(text)
    elif Path(text).suffix in ENDINGS:
        model = _from_file(Path(text), architecture, labels, "own")
    else:
        raise UnknownNameError(
            f"There is no model named {text!r}; choose one of {', '.join(model_names())}, a .safetensors or .pth file, "
            f"or {HUB_PREFIX}user/repo."
        )
    return model.eval().to(device)


def untrained_model(name: str) -> VideoModel:
    """The model `name` with seeded random weights and their hash; what `load_model` gives where none are shipped."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same random weights at every start, so that what is shown can be shown again
        model = create_model(name)
    digest = hashlib.sha256()
    for key, value in model.state_dict().items():
        digest.update(key.encode() + value.numpy().tobytes())
    model.info = dataclasses.replace(model.info, sha256=digest.hexdigest())
    return model


def _from_file(path: Path, architecture: str | None, labels: Sequence[str] | None, status: str) -> VideoModel:
    state, metadata = read_weights(path)
    check_description(metadata, path.name)
    config, facts = metadata.get("config") or {}, metadata.get("facts") or {}
    official = official_architecture(state)
    if official is not None:
        config, state = {"name": official[0], "switches": official[1]}, convert_official(state)
    name = architecture or config.get("name")
    if name is None:
        raise CheckpointError(
            f"The checkpoint {path.name} does not say its architecture; name it, one of {', '.join(model_names())}."
        )
    fields = dict(config.get("switches") or {})
    heads = [state[key] for key in ("fc.weight", "head.fc.weight") if key in state and state[key].ndim == 2]
    if heads:
        fields.setdefault("num_classes", heads[0].shape[0])
    model = build_from_fields(name, fields)
    load_state(model, state, path.name)
    names = tuple(labels or metadata.get("labels") or model.info.labels)
    if len(names) != len(model.info.labels):
        raise CheckpointError(f"{path.name} has {len(model.info.labels)} classes, but {len(names)} labels were given.")
    model.info = dataclasses.replace(
        model.info,
        status=status,
        labels=names,
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        facts=facts,
    )
    return model


def load_state(model: VideoModel, state: dict[str, Tensor], source: str) -> None:
    """Copy `state` into `model`. Raises CheckpointError listing every key that is missing, unexpected or misshapen."""
    check_fit(model.state_dict(), state, source, model.info.name)
    model.load_state_dict(state)
