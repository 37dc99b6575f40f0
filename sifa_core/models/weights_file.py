"""Files of weights, read safely: .safetensors, and torch files that hold nothing but tensors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from sifa_core.errors import CheckpointError

PICKLES = (".pth", ".pt", ".bin", ".ckpt")
ENDINGS = (".safetensors", *PICKLES)
LISTED_KEYS = 6
"""Unmatched keys that an error spells out; it counts the rest."""


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file by name, and what it says about itself ("config", "labels", "facts").

    Raises CheckpointError if there is no such file or it cannot be read.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file {path.name}.")
    try:
        return _read_pickle(path) if path.suffix in PICKLES else _read_safetensors(path)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path.name} cannot be read: {error.strerror}.") from error


def plain_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without what wrappers put into their names: DistributedDataParallel's and `torch.compile`'s prefixes."""
    return {key.removeprefix("module.").replace("_orig_mod.", "").removeprefix("module."): state[key] for key in state}


def check_description(metadata: Mapping[str, Any], source: str) -> None:
    """Raise CheckpointError unless what a file says about itself has the form that `save_checkpoint` gives it."""
    config, labels, facts = (metadata.get(key) for key in ("config", "labels", "facts"))
    name, fields = (config.get("name"), config.get("switches")) if isinstance(config, dict) else (None, None)
    is_known = (
        isinstance(config, dict | None)
        and isinstance(name, str | None)
        and isinstance(fields, dict | None)
        and all(isinstance(field, str) for field in fields or ())
        and isinstance(labels, list | tuple | None)
        and all(isinstance(label, str) for label in labels or ())
        and isinstance(facts, dict | None)
    )
    if not is_known:
        raise CheckpointError(f"The checkpoint {source} describes itself in a form that is not known here.")


def check_fit(
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    source: str,
    model: str,
    may_differ: Callable[[str], bool] = lambda key: False,
) -> None:
    """Raise CheckpointError where names or shapes of `theirs` are not those of `own`; `may_differ` names exceptions.

    The message spells out the first keys and counts the rest. `source` and `model` are what it calls the two.
    """
    problems = [f"{key} is missing" for key in own if key not in theirs and not may_differ(key)]
    problems += [f"{key} is unexpected" for key in theirs if key not in own and not may_differ(key)]
    problems += [
        f"{key} is {tuple(theirs[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in theirs and theirs[key].shape != own[key].shape and not may_differ(key)
    ]
    if problems:
        more = f"; and {len(problems) - LISTED_KEYS} more" if len(problems) > LISTED_KEYS else ""
        raise CheckpointError(f"{source} does not fit {model}: {'; '.join(problems[:LISTED_KEYS])}{more}.")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        known = {key: json.loads(metadata[key]) for key in ("config", "labels", "facts") if key in metadata}
        return plain_names(state), known
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path.name} is not a readable safetensors file.") from error


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A torch file: a state dict, or one under "state_dict" or "model", maybe with "config" and "labels" beside it."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # the authors' training saves its options beside
            content = torch.load(path, map_location="cpu", weights_only=True)  # anything else could run code
    except OSError:
        raise
    except Exception as error:  # torch raises many types for a broken or unsafe pickle
        raise CheckpointError(f"{path.name} is not a torch file that holds only weights.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds no state dict.")
    state = content.get("state_dict", content.get("model", content))
    entries = state.items() if isinstance(state, dict) else ()
    if not entries or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in entries):
        raise CheckpointError(f"{path.name} holds no state dict.")
    named = plain_names(dict(entries))
    if "pytorch-lightning_version" in content and len({key.partition(".")[0] for key in named}) == 1:
        # There the network is an attribute of the module that trains it, whatever its name.
        named = plain_names({key.partition(".")[2]: value for key, value in named.items()})
    return named, {} if state is content else content
