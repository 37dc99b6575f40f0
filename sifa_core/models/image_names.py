"""Names of image networks' parameters, turned into ours: one function for each family.

Each maps a published ImageNet checkpoint to {our name: tensor}. Classifiers are left out, because their classes are
ImageNet's, and so are buffers that our networks compute themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

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
