"""How much moves from frame to frame, measured on thumbnails cheaply enough to do it for every frame of a video."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.data.dis_flow import SHORTEST_SIDE, flow_estimator

THUMBNAIL_SIDE = 64
"""Short side of the grey thumbnails: half a millisecond of flow each, and a hundredth of the frame is still visible."""

_CUT_DIFFERENCE = 40.0
"""Mean change of grey level, of 255, from which two frames are taken for different scenes if flow cannot explain it."""

_LARGEST_MOTION = 0.25
"""Fraction of the short side from one frame to the next; more is a flash or a flow that went astray."""


def thumbnail_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of a thumbnail with the shape of the picture; short sides stay as they are below 64."""
    scale = min(1.0, THUMBNAIL_SIDE / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def motion_between(thumbnails: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """[N] movement from frame i-1 to i as a fraction of the short side; 0 for the first, NaN across a cut.

    The 95th percentile of the optical flow's length (dense inverse search): a small object that moves counts as much
    as a whole scene, and single wild vectors do not count.
    """
    motion = np.zeros(len(thumbnails))
    if len(thumbnails) < 2:
        return motion
    short_side = min(thumbnails[0].shape)
    estimate = flow_estimator(coarse=True)
    for i in range(1, len(thumbnails)):
        before, after = thumbnails[i - 1], thumbnails[i]
        if np.array_equal(before, after):
            continue
        if min(before.shape) < SHORTEST_SIDE:  # the change of grey level stands in for the movement
            motion[i] = float(np.abs(after.astype(np.float64) - before).mean()) / 255.0
            continue
        flow = estimate(before, after)
        if _is_cut(before, after, flow):
            motion[i] = np.nan
            continue
        length = float(np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 95)) / short_side
        motion[i] = min(length, _LARGEST_MOTION)
    return motion


def _is_cut(before: NDArray[np.uint8], after: NDArray[np.uint8], flow: NDArray[np.float32]) -> bool:
    difference = cv2.absdiff(before, after).mean()
    if difference < _CUT_DIFFERENCE:
        return False
    height, width = before.shape
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    explained = cv2.remap(
        after, grid_x + flow[..., 0], grid_y + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    return bool(cv2.absdiff(before, explained).mean() > 0.5 * difference)
