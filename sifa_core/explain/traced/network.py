"""A network whose answers are not only logits, but everything that explanations read from its forward.

Its input is one clip, or several, of which the last is explained: "frozen" and "held" stand before it where motion
within feature frames and all of class evidence are wanted (see `class_evidence.motion_path`).

Legend: B clips, T feature frames, A attended frames, K taps, C channels, h x w cells of a map.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from sifa_core.explain.analysis import stage_of
from sifa_core.explain.motion import combine_motion, feature_change, motion_within
from sifa_core.explain.trace import attention_maps
from sifa_core.models import VideoModel

LAYER_MAPS = ("offset", "weights", "saliency", "motion", "difference", "relative_difference")
"""What is given of each layer: the arrays of a `LayerTrace`."""
PATH = ("frozen", "held", "clip")
"""The clips that the network is meant to be given, in this order; it does with the last, or the last two."""


class TracedNetwork(nn.Module):
    """`forward` gives the tensors of `names`, for clips of `frames` feature frames.

    Args:
        model: as `models.standalone.portable` makes it.
        frames: T.
    """

    def __init__(self, model: VideoModel, frames: int) -> None:
        super().__init__()
        self.model = model
        self.frames = frames
        self.layers = tuple(model.sifa_layers())
        self.stages = tuple(model.stage_outputs())
        self.has_head = model.head_weight() is not None

    @property
    def names(self) -> list[str]:
        """What `forward` gives, in its order: "logits", "motion", "features" and "head" where class evidence can be
        read from them, and "res4.1.offset" and the like."""
        evidence = ["features", "head"] if self.has_head else []
        return ["logits", "motion", *evidence, *(f"{layer}.{key}" for layer in self.layers for key in LAYER_MAPS)]

    def forward(self, video: Tensor) -> tuple[Tensor, ...]:
        """[B, 3, frames, H, W], normalised -> logits [B, classes]; motion [A, h, w], see `all_motion`; the last stage's
        features [B, T, C, h, w] and the head's weights [classes, C]; of each layer LAYER_MAPS of the last clip."""
        maps: dict[str, dict[str, Tensor]] = {}
        features: dict[str, Tensor] = {}
        handles = [
            layer.attention.register_forward_hook(partial(self._keep_layer, maps, name))
            for name, layer in self.model.sifa_layers().items()
        ]
        handles += [
            module.register_forward_hook(partial(self._keep_stage, features, name))
            for name, module in self.model.stage_outputs().items()
        ]
        try:
            logits = self.model(video)
        finally:
            for handle in handles:
                handle.remove()
        head = self.model.head_weight()
        evidence = [] if head is None else [features[self.stages[-1]], head.clone()]
        of_layers = [maps[layer][key] for layer in self.layers for key in LAYER_MAPS]
        return logits, self._motion(maps, features), *evidence, *of_layers

    def _keep_layer(
        self,
        maps: dict[str, dict[str, Tensor]],
        name: str,
        _: nn.Module,
        inputs: tuple[Tensor, Tensor, Tensor],
        output: tuple[Tensor, Tensor],
    ) -> None:
        module = self.model.sifa_layers()[name]
        attended = self.frames - (module.last_frame == "skip")
        maps[name] = attention_maps(*(tensor.unflatten(0, (-1, attended))[-1] for tensor in (*inputs, output[1])))

    def _keep_stage(self, features: dict[str, Tensor], name: str, _: nn.Module, inputs: object, output: Tensor) -> None:
        features[name] = output.unflatten(0, (-1, self.frames))

    def _motion(self, maps: dict[str, dict[str, Tensor]], features: dict[str, Tensor]) -> Tensor:
        """What `motion.all_motion` says; without a held clip the clip itself stands in for it."""
        first = features[self.stages[0]]
        rows, columns = first.shape[-2:]
        pairs = self.frames - 1
        if not pairs:
            return first.new_zeros(1, rows, columns)
        parts = [layer["motion"][:pairs] for layer in {stage_of(name): maps[name] for name in self.layers}.values()]
        for stage in self.stages[:2]:
            change = feature_change(features[stage], features[stage][-1:])
            parts.append(motion_within(_before_last(change)))
        parts.append(_before_last(feature_change(first[:, 1:], first[:, :-1])))
        return combine_motion(parts, rows, columns)


def _before_last(values: Tensor) -> Tensor:
    """The last but one of B values, or the only one."""
    return torch.cat([values[:1], values])[-2]
