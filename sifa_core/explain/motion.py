"""What moves, as the network sees it: the motion part of Eq. 5, and all layers' taken together.

Eq. 5 keeps half of every feature where nothing changes, so its picture is mostly appearance. Without that half, what is
left is what motion adds: |(sigmoid(D) - 1/2) f[t+1]|, D = f[t+1] - f[t].

Legend: T feature frames, A = T - 1 pairs of them, h x w cells of a layer's map.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

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
    parts = [maps[: frames - 1] for maps in layers]
    parts += [motion_within(at.features[CLIP], at.features[HELD]) for at in stages[:2]]
    parts.append(motion_between(stages[0].features[HELD]))
    return combine_motion(parts, rows, columns)


def motion_within(features: Maps, held: Maps) -> Maps:
    """What motion within a feature frame's own input frames changes, for pairs: [T, C, h, w] twice -> [A, h, w].

    `held` are the features of the same clip with every feature frame held at one picture. A pair sums both its frames.
    """
    change = np.abs(features - held).mean(1)
    return np.asarray(change[1:] + change[:-1], np.float32)


def motion_between(held: Maps) -> Maps:
    """What changes from one feature frame to the next where none has motion of its own: [T, C, h, w] -> [A, h, w]."""
    return np.asarray(np.abs(held[1:] - held[:-1]).mean(1), np.float32)


def combine_motion(maps: Sequence[Maps], rows: int, columns: int) -> Maps:
    """Maps of the same pairs, [A, h, w] each at its own size -> [A, rows, columns], more than 0, not scaled.

    The geometric mean of the maps, each relative to its maximum in the pair: only where maps agree is much left.
    Maps without anything in them have no say.
    """
    total = np.zeros((len(maps[0]), rows, columns), np.float32)
    for each in maps:
        for t, image in enumerate(each):
            shown = cv2.resize(image.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
            total[t] += np.log(shown / max(float(image.max()), 1e-12) + FLOOR)
    total /= len(maps)
    smooth, counted = total.copy(), np.ones(len(total), np.float32)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
        smooth[here] += NEIGHBOURS * total[there]
        counted[here] += NEIGHBOURS
    mean = smooth / counted[:, None, None]
    return np.exp(np.stack([cv2.GaussianBlur(image, (0, 0), SMOOTH) for image in mean]))
