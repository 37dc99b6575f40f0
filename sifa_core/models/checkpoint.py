"""Reading and writing weights. A checkpoint is one .safetensors file that says how to build its model.

Its metadata holds JSON: "config" (architecture and switches), "labels" and "facts" (data, seed, metrics).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sifa_core.errors import CheckpointError, UnknownNameError
from sifa_core.models.base import VideoModel
from sifa_core.models.registry import create_model, model_names
from sifa_core.paths import CHECKPOINTS

FORMAT = "sifa-explorer/1"
PICKLES = (".pth", ".pt", ".bin")
HUB_PREFIX = "hf://"
HUB_FILE = "model.safetensors"
LISTED_KEYS = 6
"""Unmatched keys that an error spells out; it counts the rest."""


def save_checkpoint(path: str | Path, model: VideoModel, facts: dict[str, Any] | None = None) -> Path:
    """Write weights, configuration, labels and facts as one .safetensors file, replacing it in one step.

    Raises CheckpointError if the place cannot be written to.
    """
    path = Path(path)
    config = {"name": model.info.name, "switches": dataclasses.asdict(model.config)}
    metadata = {"config": config, "labels": model.info.labels, "facts": facts or {}}
    encoded = {"format": FORMAT} | {key: json.dumps(value) for key, value in metadata.items()}
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
        os.close(handle)
        try:
            safetensors.torch.save_file(state, draft, metadata=encoded)
            Path(draft).chmod(0o644)
            os.replace(draft, path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path.name} cannot be written: {error.strerror}.") from error
    return path


def load_model(
    name: str | Path, *, architecture: str | None = None, labels: Sequence[str] | None = None, device: str = "cpu"
) -> VideoModel:
    """A model ready for inference, in evaluation mode.

    Args:
        name: a registry name (its shipped weights, or seeded random ones where none are shipped), a local
            .safetensors, .pth, .pt or .bin file, or "hf://user/repo" for `model.safetensors` on the Hugging Face Hub.
        architecture: the registry name to build, for files that do not say it themselves.
        labels: class names, for files that do not bring them.
        device: where the model goes, e.g. "cuda".

    Raises:
        UnknownNameError: neither a registry name nor a file.
        CheckpointError: the file cannot be read or does not fit; unmatched keys are listed.
        ConfigError: the file's configuration has unknown or impossible switches.
    """
    text = str(name)
    if text.startswith(HUB_PREFIX):
        model = _from_file(_download(text.removeprefix(HUB_PREFIX)), architecture, labels, "own")
    elif text in model_names():
        shipped = CHECKPOINTS / f"{text}.safetensors"
        model = _from_file(shipped, None, labels, "demo") if shipped.exists() else untrained_model(text)
    elif Path(text).suffix in (".safetensors", *PICKLES):
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
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file {path.name}.")
    try:
        state, metadata = _read_pickle(path) if path.suffix in PICKLES else _read_safetensors(path)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path.name} cannot be read: {error.strerror}.") from error
    config, facts = metadata.get("config") or {}, metadata.get("facts") or {}
    if not isinstance(config, dict) or not isinstance(facts, dict):
        raise CheckpointError(f"The checkpoint {path.name} describes itself in a form that is not known here.")
    name = architecture or config.get("name")
    if name is None:
        raise CheckpointError(
            f"The checkpoint {path.name} does not say its architecture; name it, one of {', '.join(model_names())}."
        )
    switches = dict(config.get("switches") or {})
    if "num_classes" not in switches and "fc.weight" in state:
        switches["num_classes"] = state["fc.weight"].shape[0]
    model = create_model(name, **switches)
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
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in state]
    problems += [f"{key} is unexpected" for key in state if key not in own]
    problems += [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        listed = "; ".join(problems[:LISTED_KEYS])
        more = f"; and {len(problems) - LISTED_KEYS} more" if len(problems) > LISTED_KEYS else ""
        raise CheckpointError(f"{source} does not fit {model.info.name}: {listed}{more}.")
    model.load_state_dict(state)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        return state, {key: json.loads(metadata[key]) for key in ("config", "labels", "facts") if key in metadata}
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path.name} is not a readable safetensors file.") from error


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A torch file: a state dict, or one under "state_dict" or "model", maybe with "config" and "labels" beside it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)  # anything else could run code
    except OSError:
        raise
    except Exception as error:  # torch raises many types for a broken or unsafe pickle
        raise CheckpointError(f"{path.name} is not a torch file that holds only weights.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds no state dict.")
    state = content.get("state_dict", content.get("model", content))
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        raise CheckpointError(f"{path.name} holds no state dict.")
    state = {key.removeprefix("module."): value for key, value in state.items()}  # DistributedDataParallel's prefix
    return state, content if state is not content else {}


def _download(repository: str) -> Path:
    """`model.safetensors` of a Hub repository, from the local cache if it is there."""
    import huggingface_hub  # only needed here, and slow to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.hf_hub_download(repository, HUB_FILE))
    except HFValidationError as error:
        raise CheckpointError(
            f"{HUB_PREFIX}{repository} is no repository name; write {HUB_PREFIX}user/repo."
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{HUB_PREFIX}{repository} cannot be downloaded: {reason}") from error
