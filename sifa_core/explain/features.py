"""The features that a SIFA layer compared, caught by removable hooks in one more forward of the same clip.

The trace of the first forward leaves them out: they are many times the size of everything else in it.

Legend: A attended frames, C channels, h x w cells of a layer's map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sifa_core.models import VideoModel

FloatMaps = NDArray[np.float32]


@dataclass(frozen=True)
class LayerFeatures:
    """What went into one SIFA layer and what came out, each [A, C, h, w]."""

    query: FloatMaps
    """f[t], whose cells ask."""
    memory: FloatMaps
    """f[t+1], which is sampled; f[t] itself for a last frame that attends to itself."""
    aggregate: FloatMaps
    """A[t+1] of Eq. 2, before the gate."""
    gated: FloatMaps
    """What the gate let through of it; the same where the model has no gate."""
    output: FloatMaps
    """Y[t] of Eq. 3."""


def layer_features(model: VideoModel, video: Tensor, layer: str) -> LayerFeatures:
    """Run `model` on `video`, (1, 3, T, H, W), and keep the features of the SIFA layer of this name."""
    module = model.sifa_layers()[layer]
    caught: dict[str, FloatMaps] = {}

    def keep(**tensors: Tensor) -> None:
        caught.update({name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()})

    def at_attention(_: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        keep(query=inputs[0], memory=inputs[1], aggregate=output[0])

    def at_gate(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        keep(gated=output)

    def at_end(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        keep(output=output)

    handles = [
        module.attention.register_forward_hook(at_attention),
        module.gate.register_forward_hook(at_gate),
        module.register_forward_hook(at_end),
    ]
    try:
        with torch.no_grad():
            model(video)
    finally:
        for handle in handles:
            handle.remove()
    caught["output"] = caught["output"][: len(caught["query"])]  # a skipped last frame has an output, but no query
    return LayerFeatures(**caught)
