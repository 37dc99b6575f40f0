"""Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019): clips of a batch mixed in pairs, and their labels with them.

A clip's partner is the one before it in the batch. All clips of a batch share the weight and the place, and so do all
frames. B clips, T frames of H x W pixels.
"""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from sifa_core.data.augmentation import Augmentation


def mix(
    video: Tensor, labels: Tensor, classes: int, settings: Augmentation, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Clips [B, 3, T, H, W] and labels [B] -> mixed clips and the fractions of each class [B, classes].

    Without mixing, or with a clip alone, the clips and labels come back as they are.
    """
    if not settings.mixes or len(labels) < 2:
        return video, labels
    cuts = settings.cutmix > 0 and (settings.mixup == 0 or generator.random() < 0.5)
    alpha = settings.cutmix if cuts else settings.mixup
    own = float(generator.beta(alpha, alpha))
    partner = video.roll(1, 0)
    if cuts:
        top, bottom, left, right = _box(video.shape[3], video.shape[4], 1 - own, generator)
        video = video.clone()
        video[..., top:bottom, left:right] = partner[..., top:bottom, left:right]
        own = 1 - (bottom - top) * (right - left) / (video.shape[3] * video.shape[4])
    else:
        video = own * video + (1 - own) * partner
    targets = F.one_hot(labels, classes).to(video.dtype)
    return video, own * targets + (1 - own) * targets.roll(1, 0)


def _box(height: int, width: int, area: float, generator: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a box of about `area` of the picture, cut off where it reaches over the edge."""
    edges: list[int] = []
    for side in (height, width):
        middle, half = generator.uniform(0, side), side * math.sqrt(area) / 2
        edges += [max(0, round(middle - half)), min(side, round(middle + half))]
    return edges[0], edges[1], edges[2], edges[3]
