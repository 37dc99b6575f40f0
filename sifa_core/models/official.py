"""Networks of the authors' code (FuchenUSTC/SIFA): SIFA-Net's fields, and checkpoints of both families.

What differs from the paper, and why, is in OFFICIAL.md beside this file. Legend: C channels, k side of the kernel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sifa_core.errors import CheckpointError
from sifa_core.models.official_transformer import OFFICIAL as OFFICIAL_TRANSFORMER
from sifa_core.models.official_transformer import (
    check_scale,
    convert_official_transformer,
    dimensions,
    is_official_transformer,
)

OFFICIAL: dict[str, Any] = {
    "blocks": "alternate",
    "global_context": True,
    "dual_head": True,
    "msm_residual": True,
    "last_frame": "skip",
}
"""Fields of SIFA-Net that give the authors' network (model/c2d_sifa_resnet.py)."""

NETS: dict[tuple[int, ...], str] = {(3, 4, 6, 3): "sifa_net_r50", (3, 4, 23, 3): "sifa_net_r101"}
"""Blocks by stage -> the model; of another number of blocks, a ResNet-50 with these."""

TRANSFORMERS: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "sifa_transformer_t",
    (96, (2, 2, 18, 2)): "sifa_transformer_s",
    (128, (2, 2, 18, 2)): "sifa_transformer_b",
    (192, (2, 2, 18, 2)): "sifa_transformer_l",
}
"""Width and blocks by stage -> the model; of others, -S with these."""

_BLOCK = re.compile(r"(layer\d(?:_dual)?\.\d+)\.(.+)")
_RENAMED = {
    "conv_offset.weight": "temporal.offset.conv.weight",
    "fc1.weight": "context.reduce.weight",
    "fc1.bias": "context.reduce.bias",
    "fc2.weight": "context.expand.weight",
    "fc2.bias": "context.expand.bias",
}


def convert_official(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint of the authors' code under our names, for the model that `official_architecture` names.

    Dropped is the correlation's frozen scale, which must be 1/C. Their offset convolutions have no bias, so ours
    get zeros. See `convert_official_transformer` for SIFA-Transformer.

    Raises:
        CheckpointError: it is not such a checkpoint, or says something that cannot be expressed here.
    """
    state = {key.removeprefix("module."): value for key, value in state_dict.items()}
    if is_official_transformer(state):
        return convert_official_transformer(state)
    if not _is_net(state):
        raise CheckpointError("This is not a checkpoint of the authors' SIFA-Net or SIFA-Transformer.")
    if "conv2.weight" in state:
        raise CheckpointError(
            "The checkpoint has the authors' deep stem of three convolutions, which is not known here."
        )
    converted: dict[str, Tensor] = {}
    for key, value in state.items():
        # convolutions are 1 x h x w there; only the stem also spans time
        flat = value.squeeze(2) if value.ndim == 5 and key != "conv1.weight" else value
        block = _BLOCK.fullmatch(key)
        if block is None:
            converted[key] = flat
        elif block[2] == "def_cor.weight":
            check_scale(key, value)
        else:
            converted[f"{block[1]}.{_RENAMED.get(block[2], block[2])}"] = flat
            if block[2] == "conv_offset.weight":
                converted[f"{block[1]}.temporal.offset.conv.bias"] = value.new_zeros(value.shape[0])
    return converted


def official_architecture(state_dict: Mapping[str, Tensor]) -> tuple[str, dict[str, Any]] | None:
    """The model and the fields that a checkpoint of the authors' code belongs to; None if it is none of theirs.

    Raises CheckpointError if they cannot be expressed here.
    """
    state = {key.removeprefix("module."): value for key, value in state_dict.items()}
    if is_official_transformer(state):
        return _transformer(state)
    return _net(state) if _is_net(state) else None


def _net(state: Mapping[str, Tensor]) -> tuple[str, dict[str, Any]]:
    layers = tuple(_count(state, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    shape = {"layers": layers, "width": state["conv1.weight"].shape[0]}
    sizes = {math.isqrt(value.shape[0] // 2) for key, value in state.items() if key.endswith(".conv_offset.weight")}
    if len(sizes) > 1:
        raise CheckpointError(f"Its stages have kernels of sizes {sorted(sizes)}; here they share one size.")
    fields = OFFICIAL | shape | {"kernel_size": sizes.pop()} | _common(state, "conv1.weight")
    return NETS.get(layers, "sifa_net_r50"), fields


def _transformer(state: Mapping[str, Tensor]) -> tuple[str, dict[str, Any]]:
    stages = _count(state, r"layers\.(\d+)\.")
    layers = tuple(_count(state, rf"layers\.{stage}\.blocks\.(\d+)\.") for stage in range(stages))
    width = state["patch_embed.proj.weight"].shape[0]
    # A correlation's frozen scale is [C, T, k, k]: the only tensor that tells the size of the kernel.
    sizes = {value.shape[-1] for key, value in state.items() if key.endswith(".def_cor.weight")}
    if len(sizes) > 1:
        raise CheckpointError(f"Its stages have kernels of sizes {sorted(sizes)}; here they share one size.")
    shape = {"layers": layers, "width": width} | ({"kernel_size": sizes.pop()} if sizes else {})
    fields = OFFICIAL_TRANSFORMER | shape | _common(state, "patch_embed.proj.weight")
    return TRANSFORMERS.get((width, layers), "sifa_transformer_s"), fields


def _common(state: Mapping[str, Tensor], stem: str) -> dict[str, Any]:
    """Fields that both families read off shapes: classes, the stem's stride in time, frames of a clip."""
    fields = {"num_classes": state["fc.weight"].shape[0], "temporal_stride": state[stem].shape[2]}
    scales = [value for key, value in state.items() if key.endswith(".def_cor.weight") and "_dual" not in key]
    return fields | ({"num_frames": scales[0].shape[1] * state[stem].shape[2]} if scales else {})


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    found = (re.match(pattern, key) for key in state)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _is_net(state: Mapping[str, Tensor]) -> bool:
    stages = (dimensions(state, rf"layer{stage}\.\d+\.conv1\.weight") for stage in (1, 2, 3, 4))
    return (
        dimensions(state, r"conv1\.weight") == {5}
        and dimensions(state, r"fc\.weight") == {2}
        and all(found == {5} for found in stages)
        and dimensions(state, r".+\.conv_offset\.weight") == {5}
        and dimensions(state, r".+\.def_cor\.weight") <= {4}
    )
