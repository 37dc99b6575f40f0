"""What the SIFA layers did in one forward, caught by hooks that are removed afterwards.

Legend: T attended frames, K taps, h x w cells of a layer's map.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from sifa_core.layers import motion_saliency_map
from sifa_core.layers.sifa import InterFrameAttention
from sifa_core.models import VideoModel

OFFSET_SOURCES = {
    "msm": "",
    "msm_residual": "Its offsets come from the map of Eq. 5 plus the next frame itself, as in the authors' code.",
    "difference": "Its offsets come from the difference of the two frames, not from the map of Eq. 5.",
    "next": "Its offsets come from the next frame alone, not from the map of Eq. 5.",
    "conv3d": "Its offsets come from a convolution over the whole clip, not from the map of Eq. 5.",
    "regular": "It was built without offsets, so no map moves its points.",
}
"""What a layer's offsets are computed from, `LayerTrace.offset_source`, in a sentence where it is not Eq. 5."""


@dataclass(frozen=True)
class LayerTrace:
    """One SIFA layer in one forward of one clip. T is one less than the feature frames if the last one is skipped."""

    kernel_size: int
    offset: NDArray[np.float32]
    """[T, K, 2, h, w]: (x, y) in cells; how far each tap was moved off the regular grid."""
    weights: NDArray[np.float32]
    """[T, K, h, w]: attention weights (Eq. 7), exactly those the forward used."""
    saliency: NDArray[np.float32]
    """[T, h, w]: channel mean of |MSM| (Eq. 5), not normalised."""
    motion: NDArray[np.float32]
    """[T, h, w]: its motion part, channel mean of |(sigmoid(D) - 1/2) f[t+1]|; 0 where nothing changes."""
    difference: NDArray[np.float32]
    """[T, h, w]: channel mean of |D| (Eq. 4)."""
    relative_difference: NDArray[np.float32]
    """[T, h, w]: `difference` over the channel mean of |f[t]| + |f[t+1]|, 0..1; the benchmark measures it, too."""
    offset_source: str = "msm"
    """What the offsets were computed from, a key of OFFSET_SOURCES."""


class Trace:
    """Context manager: `with Trace(model) as trace: model(video)` fills `trace.layers` by layer name, in order.

    The video must hold one clip. Hooks are removed on leaving, also after an error.
    """

    def __init__(self, model: VideoModel) -> None:
        self.layers: dict[str, LayerTrace] = {}
        self._layers = model.sifa_layers()
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Trace:
        for name, layer in self._layers.items():
            self._handles.append(layer.attention.register_forward_hook(self._hook(name, layer.offset.source_name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _hook(self, name: str, offset_source: str) -> Any:
        def hook(
            module: InterFrameAttention, inputs: tuple[Tensor, Tensor, Tensor], output: tuple[Tensor, Tensor]
        ) -> None:
            maps = attention_maps(*(tensor.detach() for tensor in (*inputs, output[1])))
            arrays = {key: tensor.cpu().numpy() for key, tensor in maps.items()}
            self.layers[name] = LayerTrace(module.kernel_size, **arrays, offset_source=offset_source)

        return hook


def attention_maps(query: Tensor, memory: Tensor, offset: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """The arrays of a `LayerTrace` by name, in float32, from what an `InterFrameAttention` took and its weights."""
    # In float32: under autocast what changes little would be rounded away.
    query, memory = query.float(), memory.float()
    saliency = motion_saliency_map(query, memory)
    difference = (memory - query).abs().mean(1)
    size = (memory.abs() + query.abs()).mean(1)
    return {
        # The operator takes (dy, dx) pairs; everything outside it speaks of (x, y).
        "offset": offset.float().unflatten(1, (-1, 2)).flip(2),
        "weights": weights.float(),
        "saliency": saliency.abs().mean(1),
        "motion": (saliency - memory / 2).abs().mean(1),
        "difference": difference,
        "relative_difference": difference / size.clamp_min(1e-12),
    }
