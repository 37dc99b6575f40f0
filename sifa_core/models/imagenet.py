"""Starting from an image network: weights from the Hub or a file, names mapped, the stem inflated along time.

Legend: C channels, s temporal stride, h x w kernel of the stem.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sifa_core.errors import CheckpointError, ConfigError
from sifa_core.fields import check_choice
from sifa_core.models.base import VideoModel
from sifa_core.models.hub import download
from sifa_core.models.weights_file import check_fit, read_weights

IMAGENET, IMAGENET22K = "imagenet", "imagenet22k"
FROM_HUB = (IMAGENET, IMAGENET22K)
"""What `weights` may say instead of a file: the image network trained on ImageNet-1K, or on all 22,000 classes."""
INFLATIONS = ("central", "mean")


@dataclass(frozen=True)
class Source:
    """Where the image network of an architecture is, and what a start from it needs."""

    repository: str
    """Repository on the Hub."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields that a start from it takes unless they are named."""


_GATED = {"gate": "channel"}
"""Without a gate, the aggregate (about three times the query's size) would drown what the image network has learnt: its
last BatchNorm of a residual branch is not zero, as it is when training from scratch."""

SOURCES = {
    "sifa_net_r50": Source("timm/resnet50.tv_in1k", _GATED),
    "sifa_net_r101": Source("timm/resnet101.tv_in1k", _GATED),
    "sifa_transformer_t": Source("timm/swin_tiny_patch4_window7_224.ms_in1k"),
    "sifa_transformer_s": Source("timm/swin_small_patch4_window7_224.ms_in1k"),
    "sifa_transformer_b": Source("timm/swin_base_patch4_window7_224.ms_in1k"),
    "sifa_transformer_l": Source("timm/swin_large_patch4_window7_224.ms_in22k_ft_in1k"),
}
"""Model name -> its image network. For ResNets torchvision's first weights (plain recipe, 76.1 and 77.4 % top-1): the
start that the networks of the paper's time had; recipes with heavier regularisation score higher on ImageNet, yet
their features are not known to be the better start for video. For Swin its authors' weights of ImageNet-1K, of which
-L has only such as were trained on ImageNet-22K before."""

SOURCES_22K = {
    f"sifa_transformer_{size}": Source(f"timm/swin_{name}_patch4_window7_224.ms_in22k")
    for size, name in {"t": "tiny", "s": "small", "b": "base", "l": "large"}.items()
}
"""Model name -> its image network trained on ImageNet-22K, the start of Video-Swin's 82.7 % in the paper's Table 2."""

_BY_WEIGHTS = {IMAGENET: SOURCES, IMAGENET22K: SOURCES_22K}

_DISPENSABLE = ("patch_embed.norm.",)
"""What a network may do without although its image network has it: `patch_norm=False` of SIFA-Transformer."""

_RES5, _DUAL_RES5 = "layer4.", "layer4_dual."
"""A dual head's second res5 starts as the first does, as in the authors' code."""
_OWN_PARTS = ("temporal", "context")
_OWN_HEADS = ("fc", "fc_dual", "head")
_COUNTER = "num_batches_tracked"
"""A buffer of batch norms that some files lack, and that training here does not use."""


def starting_fields(name: str, weights: str | Path) -> Mapping[str, Any]:
    """Fields that the model `name` takes for a start from `weights` unless the caller names them.

    Raises ConfigError if there are no such weights for this model.
    """
    there = _BY_WEIGHTS.get(str(weights), {})
    if str(weights) in FROM_HUB and name not in there:
        raise ConfigError(f"There are no weights {str(weights)!r} for {name}; there are for {', '.join(there)}.")
    if name in SOURCES:
        return SOURCES[name].fields
    return _GATED if name.startswith("sifa_net") else {}


def initialise_from_images(model: VideoModel, weights: str | Path, inflate: str) -> None:
    """Copy an image network into `model`, and note under `model.info.facts["start"]` what was and was not taken.

    The temporal modules and the head keep the start that they have. "central" puts the stem's image kernel at the
    middle of its s frames (I3D's alternative, exact on single frames), "mean" spreads it evenly over them; on a still
    clip both give the image network's features.

    Args:
        model: a freshly built network.
        weights: "imagenet" or "imagenet22k" for the Hub, or a file in timm's, torchvision's or Swin's own naming.
        inflate: "central" or "mean".

    Raises:
        ConfigError: another value of `inflate`.
        CheckpointError: the weights cannot be had or do not fit; unmatched keys are listed.
    """
    check_choice("inflate", inflate, INFLATIONS)
    from_hub = str(weights) in FROM_HUB
    source = _BY_WEIGHTS[str(weights)][model.info.name].repository if from_hub else Path(weights).name
    state, metadata = read_weights(download(source) if from_hub else Path(weights))
    if "config" in metadata:
        raise CheckpointError(f"{source} holds a video network of this project, not an image network; use load_model.")
    names = next(function for family, function in _FAMILIES.items() if model.info.name.startswith(family))
    own = model.state_dict()
    found = {key: value for key, value in names(state).items() if key in own or not key.startswith(_DISPENSABLE)}
    found |= {
        twin: value
        for key, value in found.items()
        if (twin := key.replace(_RES5, _DUAL_RES5, 1)) in own and key.startswith(_RES5)
    }
    used = {id(value) for value in found.values()}
    taken = {key: _inflate(value, own[key], inflate) if key in own else value for key, value in found.items()}
    missing = [key for key in own if key not in taken and not key.endswith(_COUNTER)]
    check_fit(
        own,
        taken,
        source,
        model.info.name,
        lambda key: key not in taken and (has_own_start(key) or key.endswith(_COUNTER)),
    )
    model.load_state_dict(taken, strict=False)
    start = {
        "weights": source,
        "inflate": inflate,
        "not_in_the_file": missing,
        "left_out_of_the_file": [key for key, value in state.items() if id(value) not in used],
    }
    model.info = dataclasses.replace(model.info, facts={**model.info.facts, "start": start})


def _inflate(image: Tensor, own: Tensor, how: str) -> Tensor:
    """A stem's image kernel [C, 3, h, w] -> [C, 3, s, h, w]; everything else as it is."""
    if own.ndim != 5 or image.ndim != 4:
        return image
    frames = own.shape[2]
    if how == "mean":
        return image.unsqueeze(2).expand(-1, -1, frames, -1, -1) / frames
    inflated = torch.zeros(*image.shape[:2], frames, *image.shape[2:], dtype=image.dtype)
    inflated[:, :, frames // 2] = image
    return inflated


def has_own_start(key: str) -> bool:
    """Whether a parameter belongs to what image networks lack: temporal modules, a clip's context, and the heads."""
    parts = key.split(".")
    return parts[0] in _OWN_HEADS or any(part in _OWN_PARTS for part in parts)


# Names of image networks' parameters, turned into ours: one function for each family. Classifiers are left out, because
# their classes are ImageNet's, and so are buffers that our networks compute themselves.

_COMPUTED = ("attn_mask", "relative_position_index", "relative_coords_table")
_TORCHVISION_EMBEDDING = {"0": "proj", "2": "norm"}
_TORCHVISION_PARTS = {"mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2"}


def resnet_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """ResNet. timm's names are torchvision's, and so are ours."""
    return {key: value for key, value in state.items() if not key.startswith("fc.")}


def swin_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Swin Transformer in the naming of timm, of its authors, or of torchvision. Ours is timm's.

    The three differ in where the patch merging between two stages is counted: timm puts it at the start of the later
    stage, the authors at the end of the earlier one, and torchvision between them, on a level with the stages.
    """
    if any(key.startswith("features.") for key in state):
        renamed = {_from_torchvision(key): value for key, value in state.items()}
    elif any(key.startswith("layers.0.downsample.") for key in state):
        renamed = {_from_authors(key): value for key, value in state.items()}
    else:
        renamed = dict(state)
    return {
        key: value
        for key, value in renamed.items()
        if not key.startswith("head.") and key.rsplit(".", 1)[-1] not in _COMPUTED
    }


def _from_authors(key: str) -> str:
    return re.sub(r"^layers\.(\d+)\.downsample\.", lambda found: f"layers.{int(found[1]) + 1}.downsample.", key)


def _from_torchvision(key: str) -> str:
    """`features` holds the patch embedding, then in turn a stage and a patch merging."""
    found = re.match(r"features\.(\d+)\.(.+)", key)
    if found is None:
        return key
    index, rest = int(found[1]), found[2]
    if index % 2 == 0 and index > 0:
        return f"layers.{index // 2}.downsample.{rest}"
    block, part = rest.split(".", 1)
    if index == 0:
        return f"patch_embed.{_TORCHVISION_EMBEDDING[block]}.{part}"
    for theirs, ours in _TORCHVISION_PARTS.items():
        part = part.replace(theirs, ours)
    return f"layers.{index // 2}.blocks.{block}.{part}"


_FAMILIES: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "sifa_net": resnet_names,
    "sifa_transformer": swin_names,
}
