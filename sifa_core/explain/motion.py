"""What moves, as the network sees it: the motion part of Eq. 5, and all layers' taken together.

Eq. 5 keeps half of every feature where nothing changes, so its picture is mostly appearance. Without that half, what is
left is what motion adds: |(sigmoid(D) - 1/2) f[t+1]|, D = f[t+1] - f[t].

In PyTorch's operations throughout, so that an exported network brings this along (see `explain.traced`).

Legend: T feature frames, A = T - 1 pairs of them, C channels, h x w cells of a layer's map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sifa_core.explain.class_evidence import CLIP, HELD, Maps, StageGradients

FLOOR = 0.02
"""Fraction of its maximum that every map has at least, so that no single layer can blot out a place."""
SMOOTH = 1.5
"""Cells; standard deviation of the Gaussian that the logarithm of all maps together is smoothed with."""
NEIGHBOURS = 0.5
"""How much the pairs before and after count beside the pair itself: what moves goes on moving, noise does not."""


def all_motion(layers: Sequence[Maps], stages: Sequence[StageGradients]) -> Maps:
    """What moves by all that the network knows of it, [A, h, w] at the first stage's size, not scaled.

    `layers` are the motion parts of the stages' last SIFA layers, `stages` the features along the motion path, in the
    order of the network. A clip of one feature frame has one map of zeros.
    """
    _, frames, _, rows, columns = stages[0].features.shape
    if frames < 2:
        return np.zeros((1, rows, columns), np.float32)
    features = [torch.from_numpy(at.features) for at in stages[:2]]
    changes = [feature_change(each[CLIP], each[HELD]) for each in features]
    steps = feature_change(features[0][HELD, 1:], features[0][HELD, :-1])
    parts = [torch.from_numpy(maps[: frames - 1]) for maps in layers]
    return combine_motion([*parts, *map(motion_within, changes), steps], rows, columns).numpy()


def feature_change(features: Tensor, others: Tensor) -> Tensor:
    """Mean over channels of |features - others|: [..., C, h, w] twice -> [..., h, w]."""
    return (features - others).abs().mean(-3)


def motion_within(change: Tensor) -> Tensor:
    """What motion within a feature frame's own input frames changes, for pairs: [T, h, w] -> [A, h, w].

    `change` is what stands between the clip and the same clip with every feature frame held at one picture. A pair sums
    both its frames.
    """
    return change[1:] + change[:-1]


def combine_motion(maps: Sequence[Tensor], rows: int, columns: int) -> Tensor:
    """Maps of the same pairs, [A, h, w] each at its own size -> [A, rows, columns], more than 0, not scaled.

    The geometric mean of the maps, each relative to its maximum in the pair: only where maps agree is much left.
    Maps without anything in them have no say.
    """
    logarithms = []
    for each in maps:
        shown = F.interpolate(each[:, None], (rows, columns), mode="bilinear", align_corners=False)[:, 0]
        logarithms.append((shown / each.amax((1, 2), keepdim=True).clamp_min(1e-12) + FLOOR).log())
    total = torch.stack(logarithms).mean(0)
    pairs = torch.arange(len(total), device=total.device)
    apart = (pairs[:, None] - pairs).abs()
    counts = (apart == 0).to(total.dtype) + NEIGHBOURS * (apart == 1).to(total.dtype)
    mean = (counts / counts.sum(1, keepdim=True) @ total.flatten(1)).unflatten(1, (rows, columns))
    return blur(mean, SMOOTH).exp()


def blur(images: Tensor, deviation: float) -> Tensor:
    """Images [N, h, w] under a Gaussian of standard deviation `deviation`, in cells, mirrored at their edges.

    It reaches four deviations far and leaves the outermost cells single, as OpenCV's does.
    """
    reach = round(8 * deviation + 1) // 2
    distance = torch.arange(-reach, reach + 1, dtype=torch.float64, device=images.device)
    kernel = torch.exp(-(distance**2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).to(images.dtype)
    height, width = images.shape[1:]
    wide = images[:, _mirrored(height, reach, images)][:, :, _mirrored(width, reach, images)]
    down = F.conv2d(wide[:, None], kernel.view(1, 1, -1, 1))
    return F.conv2d(down, kernel.view(1, 1, 1, -1))[:, 0]


def _mirrored(count: int, reach: int, images: Tensor) -> Tensor:
    """Which of `count` lines stands at each place from -reach to count + reach: ... 2 1 0 1 2 ..."""
    last = torch.arange(count, device=images.device)[-1]  # a tensor: the exporter knows no remainder of a free size
    place = torch.arange(-reach, count + reach, device=images.device).remainder((2 * last).clamp_min(1))
    return last - (place - last).abs()
