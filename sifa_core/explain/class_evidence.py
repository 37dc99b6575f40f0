"""Which places speak for a class: maps read from the gradients of its score at the feature maps of the stages.

Of them "integrated_gradients" lies best where things move, measured on clips whose truth is known: its path leads from
one frozen picture over the held clip, whose feature frames show one picture each, to the clip itself, so that the map
shows where the motion is that the class rests on.

Legend: P clips of the path, B = 1 clip, T feature frames, C channels, h x w cells of a stage's last feature map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sifa_core.errors import QueryError
from sifa_core.models import VideoModel

Maps = NDArray[np.float32]

FROZEN, HELD, HALFWAY, CLIP = range(4)
"""The clips of the path, see `motion_path`."""
BETWEEN = 0.3
"""How much motion between feature frames counts beside motion within them: it shows where things are in the frozen
picture, too, which is nowhere near them in a frame far from it."""
SMOOTH = 0.7
"""Cells; standard deviation of the Gaussian that integrated gradients are smoothed with."""


@dataclass(frozen=True)
class StageGradients:
    """Features of one stage for the clips of a path, and gradients of the class's score there, [P, T, C, h, w] each.

    P is 4 for `motion_path`, or 1 for a clip alone, which is always the last.
    """

    features: Maps
    gradients: Maps

    @property
    def clip(self) -> tuple[Maps, Maps]:
        """Features and gradients of the clip itself; [T, C, h, w] each."""
        return self.features[-1], self.gradients[-1]


def grad_cam(at: StageGradients) -> Maps:
    """Grad-CAM (Selvaraju et al., 2017), frame by frame: channels weighted by their mean gradient over the frame."""
    features, gradients = at.clip
    return np.maximum((gradients.mean((2, 3), keepdims=True) * features).sum(1), 0)


def grad_cam_of_clip(at: StageGradients) -> Maps:
    """Grad-CAM with one weight of each channel for the whole clip."""
    features, gradients = at.clip
    return np.maximum((gradients.mean((0, 2, 3), keepdims=True) * features).sum(1), 0)


def layer_cam(at: StageGradients) -> Maps:
    """LayerCAM (Jiang et al., 2021): every element weighted by its own gradient where that is positive."""
    features, gradients = at.clip
    return np.maximum((np.maximum(gradients, 0) * features).sum(1), 0)


def hires_cam(at: StageGradients) -> Maps:
    """HiResCAM (Draelos and Carin, 2020): every element times its own gradient, summed, then the positive part."""
    features, gradients = at.clip
    return np.maximum((gradients * features).sum(1), 0)


def gradient_x_activation(at: StageGradients) -> Maps:
    """Sum over channels of |gradient x activation|: how strongly a place bears on the score, for or against."""
    features, gradients = at.clip
    return np.abs(gradients * features).sum(1)


def integrated_gradients(at: StageGradients) -> Maps:
    """How strongly the score rests on what motion changes: sum over channels of |mean gradient x change of features|.

    Integrated gradients (Sundararajan et al., 2017) in a stage's features, with two or three gradients for each part of
    the path: from the frozen picture to the held clip, and on to the clip. Needs the gradients of a `motion_path`.
    """
    features, gradients = at.features, at.gradients
    within = gradients[HELD:].mean(0) * (features[CLIP] - features[HELD])
    between = gradients[:HALFWAY].mean(0) * (features[HELD] - features[FROZEN])
    total = np.abs(within).sum(1) + BETWEEN * np.abs(between).sum(1)
    return np.stack([cv2.GaussianBlur(image, (0, 0), SMOOTH) for image in total])


GRADIENT_METHODS: dict[str, Callable[[StageGradients], Maps]] = {
    "integrated_gradients": integrated_gradients,
    "gradient_x_activation": gradient_x_activation,
    "layer_cam": layer_cam,
    "hires_cam": hires_cam,
    "grad_cam": grad_cam,
    "grad_cam_of_clip": grad_cam_of_clip,
}
"""Maps by name: gradients of a stage -> evidence [T, h, w], at least 0, not scaled."""

DEFAULT_METHOD = "integrated_gradients"
"""The method that lies best where things move, by measurement."""
BEST_STAGES = {"integrated_gradients": 0, "grad_cam": -1, "grad_cam_of_clip": -1}
"""Method -> the place of its stage."""

METHODS = (*GRADIENT_METHODS, "occlusion")
"""All ways to ask where a class's evidence lies."""

METHOD_TITLES = {
    "integrated_gradients": "Integrated gradients",
    "gradient_x_activation": "Gradient × activation",
    "layer_cam": "LayerCAM",
    "hires_cam": "HiResCAM",
    "grad_cam": "Grad-CAM",
    "grad_cam_of_clip": "Grad-CAM over the clip",
    "occlusion": "Occlusion",
}
"""A method's name on figures and pages."""

METHOD_WORDS = {
    "integrated_gradients": "Where the motion is that the class's score rests on, on the way from still to moving; its "
    "brightest point finds what moves a little less often than the difference of two frames does",
    "gradient_x_activation": "How strongly each place bears on the class's score, for or against",
    "layer_cam": "Features weighted place by place by their positive gradients",
    "hires_cam": "Features weighted place by place by their gradients",
    "grad_cam": "The paper's: features weighted channel by channel; of drawn clips it finds what moves less often than "
    "the difference of two frames does",
    "grad_cam_of_clip": "Grad-CAM with one weight of each channel for the whole clip; the same holds for it",
    "occlusion": "How far the class's score falls when a patch is held still",
}
"""What a method's map says, in a sentence."""


def best_stage(method: str, stages: Sequence[str]) -> str:
    """The stage that a method measures best at, or that the paper takes: see BEST_STAGES; the second for the others."""
    return stages[BEST_STAGES.get(method, 1 if len(stages) > 1 else 0)]


def motion_path(video: Tensor, frame_index: Sequence[int]) -> Tensor:
    """From stillness to motion in four clips, [4, 3, T, H, W] of a `video` [1, 3, T, H, W] as the model takes it.

    One picture all the time; every feature frame held at its own picture, `frame_index`; halfway from there to the
    clip; and the clip.
    """
    frozen, held = (video[:, :, shown] for shown in path_frames(video.shape[2], frame_index))
    return torch.cat([frozen, held, (held + video) / 2, video])


def path_frames(count: int, frame_index: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which of the `count` frames of a clip the frozen and the held clip show in the place of each; `motion_path`."""
    held = [frame_index[place * len(frame_index) // count] for place in range(count)]
    return [count // 2] * count, held


def stage_gradients(
    model: VideoModel, clips: Tensor, target: int, against: int | None = None
) -> dict[str, StageGradients]:
    """Features and gradients of all stages for `clips` [P, 3, T, H, W], by the stage's name.

    The score is the logit of class `target`, less that of class `against` if there is one. One forward and one
    backward of all clips; parameters collect no gradients.
    """
    stages = model.stage_outputs()
    outputs: dict[str, Tensor] = {}
    handles = [module.register_forward_hook(partial(_catch, outputs, name)) for name, module in stages.items()]
    try:
        with torch.enable_grad():
            logits = model(clips.detach().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
    total = score(logits, target, against).sum()
    gradients = torch.autograd.grad(total, [outputs[name] for name in stages])
    return {
        name: StageGradients(_by_clip(outputs[name], len(clips)), _by_clip(gradient, len(clips)))
        for name, gradient in zip(stages, gradients, strict=True)
    }


def occlusion(
    model: VideoModel,
    video: Tensor,
    held: Tensor,
    target: int,
    against: int | None = None,
    *,
    feature_frames: int,
    cells: tuple[int, int],
) -> Maps:
    """How far the score falls when a patch of one feature frame is held still, [T, h, w] for `cells` = (h, w).

    The counterfactual that removes motion and nothing else; by captum's FeatureAblation. T * h * w forwards.
    """
    from captum.attr import FeatureAblation  # imports matplotlib; not worth a second at start-up

    frames, (height, width) = video.shape[2], video.shape[3:]
    rows, columns = (np.arange(side) * count // side for side, count in zip((height, width), cells, strict=True))
    number = np.arange(frames) * feature_frames // frames
    patch = (number[:, None, None] * cells[0] + rows[:, None]) * cells[1] + columns
    mask = torch.from_numpy(patch).to(video.device)[None, None].expand_as(video)

    def fall(clips: Tensor) -> Tensor:
        return score(model(clips), target, against)

    with torch.no_grad():
        changed = FeatureAblation(fall).attribute(video, baselines=held, feature_mask=mask, perturbations_per_eval=8)
    first = np.searchsorted(number, np.arange(feature_frames))
    found = changed[0, 0, first].float().cpu().numpy()
    tops = [np.searchsorted(axis, np.arange(count)) for axis, count in zip((rows, columns), cells, strict=True)]
    return np.maximum(found[:, tops[0]][:, :, tops[1]], 0)


def score(logits: Tensor, target: int, against: int | None = None) -> Tensor:
    """What is explained: the logits [N] of class `target`, less those of `against` ("why this and not that")."""
    own = logits[:, target]
    return own if against is None else own - logits[:, against]


def check_method(method: str) -> str:
    """The method itself. Raises QueryError if there is no such method."""
    if method not in METHODS:
        raise QueryError(f"There is no method {method!r} for class evidence; choose one of {', '.join(METHODS)}.")
    return method


def _catch(outputs: dict[str, Tensor], name: str, _: object, inputs: object, output: Tensor) -> None:
    outputs[name] = output


def _by_clip(maps: Tensor, clips: int) -> Maps:
    return maps.detach().float().cpu().numpy().reshape(clips, -1, *maps.shape[1:])
