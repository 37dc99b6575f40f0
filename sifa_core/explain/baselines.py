"""Maps that know no network, to hold a network's maps against: where the picture changes, the centre, chance.

Legend: N frames of the clip, H x W pixels, h x w cells of a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

BLUR = 0.02
"""Standard deviation of the Gaussian over the frame difference, as a fraction of the picture's short side."""


def frame_difference(frames: NDArray[np.uint8], first: int, last: int) -> NDArray[np.float32]:
    """Mean over frames `first` to `last` - 1 of what changes to the next frame, blurred, in grey levels; [H, W].

    `frames` are [N, H, W, 3]. Zeros where there is no next frame.
    """
    height, width = frames.shape[1:3]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames[first : last + 1]]
    if len(grey) < 2:
        return np.zeros((height, width), np.float32)
    change = np.abs(np.diff(np.stack(grey), axis=0)).mean(0)
    return np.asarray(cv2.GaussianBlur(change, (0, 0), BLUR * min(height, width)), np.float32)


def to_cells(image: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """A map of pixels [H, W] as means over `rows` x `columns` cells."""
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def flow_length(flow: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """How far optical flow moves each pixel, pixels, the mean over flows [H, W, 2]; [H, W]."""
    return np.asarray(np.mean([np.linalg.norm(each, axis=-1) for each in flow], axis=0), np.float32)


def centre(rows: int, columns: int) -> NDArray[np.float32]:
    """Largest in the middle, falling with the distance from it in fractions of the sides; [rows, columns]."""
    row, column = np.mgrid[:rows, :columns]
    distance = np.hypot((row + 0.5) / rows - 0.5, (column + 0.5) / columns - 0.5)
    return np.asarray(1 - distance, np.float32)
