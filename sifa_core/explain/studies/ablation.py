"""What would change if a part of the SIFA block were switched off: the same clip, the same weights, one part less.

Hooks stand in for the part and are removed afterwards; the forward itself is the model's own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.points import Query, SamplingPoints
from sifa_core.layers import SIFA
from sifa_core.layers.offset_estimators import ConvOffset, RegularGrid, next_frame
from sifa_core.models import VideoModel

PARTS = {
    "msm": "Motion saliency: frame t is replaced by frame t + 1 where offsets are estimated, so that nothing seems to "
    "move (the difference of Eq. 4 is zero, the sigmoid of Eq. 5 one half everywhere).",
    "offsets": "Offsets: every point stays on the regular grid (SIFA_R of Table 1a).",
    "attention": "Attention: nothing is added to the query (the plain 2D network, Y[t] = f[t]).",
}
"""What can be switched off, and what then happens instead."""


@dataclass(frozen=True)
class Ablation:
    """One clip analysed with a part switched off. Made by `ablate`."""

    part: str
    layers: tuple[str, ...]
    """Where it was switched off."""
    changed: Analysis
    """What came out. Its Grad-CAM would be that of the whole model; take predictions, points and statistics from it."""

    @property
    def predictions(self) -> list[tuple[str, float]]:
        """(label, probability), most probable first."""
        return self.changed.predictions

    def sampling_points(self, query: Query, layer: str | None = None, levels: int = 1) -> SamplingPoints:
        """As `Analysis.sampling_points`, without the part."""
        return self.changed.sampling_points(query, layer, levels)


@dataclass(frozen=True)
class Comparison:
    """A query with and without a part. P points."""

    before: SamplingPoints
    after: SamplingPoints
    moved: float
    """Mean distance between a point before and after, pixels."""
    probabilities: list[tuple[str, float, float]]
    """(label, before, after) of the classes that are among the best either way, best before first; empty if the model
    is untrained."""


def compare(analysis: Analysis, ablation: Ablation, selection: Selection, best: int = 3) -> Comparison:
    """What the part made of the selection's query, and of the `best` most probable classes."""
    place = selection.query, selection.layer, selection.levels
    before, after = analysis.sampling_points(*place), ablation.sampling_points(*place)
    with_part, without = dict(analysis.predictions), dict(ablation.predictions)
    shown = {label for label, _ in analysis.predictions[:best] + ablation.predictions[:best]}
    probabilities = [(label, with_part[label], without[label]) for label, _ in analysis.predictions if label in shown]
    return Comparison(
        before,
        after,
        float(np.linalg.norm(after.points - before.points, axis=1).mean()),
        probabilities if analysis.info.is_trained else [],
    )


def ablate(analysis: Analysis, part: str, layers: Iterable[str] | None = None) -> Ablation:
    """Analyse the clip of `analysis` once more with `part`, a key of PARTS, switched off in `layers` (None: in all).

    Raises QueryError for a part or layer that does not exist, or if no layer has that part.
    """
    names = tuple(analysis.layers if layers is None else map(analysis.check_layer, layers))
    with switched_off(analysis.model, part, names):
        return Ablation(part, names, analysis.again())


@contextmanager
def switched_off(model: VideoModel, part: str, layers: Iterable[str]) -> Iterator[None]:
    """Within it, forwards of `model` do without `part` in the SIFA layers named. Raises QueryError as `ablate` does."""
    if part not in PARTS:
        raise QueryError(f"There is no part {part!r} to switch off; choose one of {', '.join(PARTS)}.")
    named = model.sifa_layers()
    handles = [handle for name in layers for block in _blocks(named[name]) if (handle := _hook(block, part))]
    if not handles:
        what = "motion saliency" if part == "msm" else part
        raise QueryError(f"No SIFA layer of {model.info.name} has {what} that could be switched off.")
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def without_offsets(model: VideoModel) -> VideoModel:
    """The same network on the regular grid: every offset is zero (SIFA_R of Table 1a, with the weights of SIFA).

    A model of its own that shares its parameters with `model`, so it takes next to no memory.
    """
    shared: list[Any] = [*model.parameters(), *model.buffers()]
    regular = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
    for block in _blocks(regular):
        _hook(block, "offsets")
    regular.info = replace(model.info, name=f"{model.info.name} without offsets")
    return regular


def has_part(model: VideoModel, part: str) -> bool:
    """Whether any SIFA layer of `model` has the part."""
    try:
        with switched_off(model, part, model.sifa_layers()):
            return True
    except QueryError:
        return False


def _blocks(layer: nn.Module) -> list[SIFA]:
    """The block itself, and the one for the frame before in a block that looks both ways."""
    return [module for module in layer.modules() if isinstance(module, SIFA)]


def _hook(block: SIFA, part: str) -> Any:
    """Put the stand-in for the part into the block; None if the block has no such part."""
    if part == "attention":
        # After the gate, because a LayerNorm makes something of nothing.
        return block.gate.register_forward_hook(_zeros)
    if part == "offsets":
        if isinstance(block.offset, RegularGrid):
            return None
        return block.offset.register_forward_hook(_zeros)
    if not isinstance(block.offset, ConvOffset) or block.offset.source is next_frame:
        return None
    return block.offset.register_forward_pre_hook(_nothing_moves)


def _nothing_moves(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return inputs[1], inputs[1]


def _zeros(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return torch.zeros_like(output)
