"""Parameters, multiply-adds and memory of a model, from shapes alone: nothing is computed or allocated.

Counted are convolutions, matrix products and the SIFA operator; norms, activations, pooling, sums and the saliency map
are not, as is usual. N images, C channels, H x W cells, K = k*k taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sifa_core.models import VideoModel, create_model
from sifa_core.profile.memory import inference_bytes, training_bytes


@dataclass(frozen=True)
class Cost:
    """What one forward of one model takes."""

    shape: tuple[int, ...]
    """Of the input: [B, 3, T, H, W]."""
    parameters: dict[str, int]
    """Layer -> its own parameters, without those of layers inside it."""
    multiply_adds: dict[str, int]
    """Layer -> its own multiply-adds."""
    training_bytes: int
    """What a forward in training keeps for the backward, without parameters."""
    inference_bytes: int
    """The most that is alive at any moment of a forward in inference, without parameters and the input."""

    @property
    def gigas(self) -> float:
        """Multiply-adds in all, in thousands of millions: the paper's GFLOPs."""
        return sum(self.multiply_adds.values()) / 1e9

    @property
    def parameter_count(self) -> int:
        """Parameters in all."""
        return sum(self.parameters.values())


def measure_cost(
    name: str,
    *,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    clips: int = 1,
    preset: str = "paper",
    **fields: Any,
) -> Cost:
    """The cost of the model `create_model(name, preset=preset, **fields)`.

    Args:
        name: a registry name.
        frames: frames of a clip; as the model is trained by default.
        size: height and width in pixels; a square of the model's input size by default.
        clips: clips in the batch.
        preset: a named set of fields.
        fields: fields of the model's configuration.

    Raises:
        ModelError and its subclasses, as `create_model` does.
    """
    model, video = _on_paper(name, frames, size, clips, preset, fields)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(video)
    return Cost(
        shape=tuple(video.shape),
        parameters={
            layer: count
            for layer, module in model.named_modules()
            if (count := sum(parameter.numel() for parameter in module.parameters(recurse=False)))
        },
        multiply_adds=_own_counts(counter, model),
        training_bytes=training_bytes(model, torch.cat((video, video))) // 2,  # batch norm refuses a single value
        inference_bytes=inference_bytes(model, video),
    )


def multiply_adds(
    name: str, frames: int, size: tuple[int, int], *, preset: str = "paper", fields: dict[str, Any]
) -> int:
    """Multiply-adds alone, of one clip; see `measure_cost`."""
    model, video = _on_paper(name, frames, size, 1, preset, fields)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(video)
    return counter.get_total_flops() // 2


def _on_paper(
    name: str, frames: int | None, size: tuple[int, int] | None, clips: int, preset: str, fields: dict[str, Any]
) -> tuple[VideoModel, Tensor]:
    """The model and its input as shapes without numbers."""
    with torch.device("meta"):
        model = create_model(name, preset=preset, **fields).eval()
        height, width = size or (model.info.input_size, model.info.input_size)
        return model, torch.empty(clips, 3, frames or model.info.num_frames, height, width)


def _own_counts(counter: FlopCounterMode, model: nn.Module) -> dict[str, int]:
    """Layer -> multiply-adds outside the layers inside it. The counter's own figures include them."""
    top = type(model).__name__
    whole = {
        name.removeprefix(f"{top}.") if name != top else "": sum(counts.values()) // 2
        for name, counts in counter.get_flop_counts().items()
        if name == top or name.startswith(f"{top}.")
    }
    own = dict(whole)
    for name, count in whole.items():
        if name:
            parent = name.rpartition(".")[0]
            while parent not in own:  # a list of layers is no layer that is called
                parent = parent.rpartition(".")[0]
            own[parent] -= count
    return {name: own[name] for name, _ in model.named_modules() if own.get(name)}
