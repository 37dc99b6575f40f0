"""Heat maps: bringing a layer's map to the clip's pixels and to 0..1."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SCOPES = ("frame", "clip")
"""What a map is scaled over: its own frame, or all frames of the clip (then frames can be compared)."""


def normalise(maps: NDArray[np.float32], scope: str) -> NDArray[np.float32]:
    """Min-max scaling of maps [T, h, w] to 0..1 over each frame or over the clip; a constant map becomes zeros."""
    axes = (1, 2) if scope == "frame" else None
    low = maps.min(axis=axes, keepdims=True)
    span = maps.max(axis=axes, keepdims=True) - low
    return np.divide(maps - low, span, out=np.zeros_like(maps), where=span > 0)


def enlarge(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A map [h, w] at [height, width], bilinear, cell centres where `FeatureGrid` puts them."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
