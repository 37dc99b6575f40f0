"""Optical flow by dense inverse search (DIS; Kroeger et al., 2016), as OpenCV computes it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SHORTEST_SIDE = 16
"""Pictures with a shorter side have too few pixels for flow patches."""

FlowEstimator = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]
"""From two grey pictures [H, W] to how far each pixel of the first moves, [H, W, 2] (x right, y down), in pixels."""


def flow_estimator(*, coarse: bool = False) -> FlowEstimator:
    """An estimator of flow; `coarse` takes a quarter of the time or less and tells little of single pixels."""
    presets = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST, cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    estimator = cv2.DISOpticalFlow.create(presets[0] if coarse else presets[1])
    if coarse:
        estimator.setFinestScale(1)

    def estimate(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(estimator.calc(before, after, np.zeros((*before.shape, 2), np.float32)), np.float32)

    return estimate
