"""Heat maps: bringing a layer's map to the clip's pixels and to 0..1."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.errors import QueryError

SCOPES = ("frame", "clip")
"""What a map is scaled over: its own frame, or all frames of the clip (then frames can be compared)."""
SALIENT = 0.6
"""Fraction of a map's range from which on a place counts as salient."""
BOX_SIDE = 240
"""Longer side of the picture that boxes are found on, pixels: finer than any map."""

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels of the clip; its edges lie between pixels."""


def check_scope(scope: str) -> str:
    """The scope itself. Raises QueryError if maps cannot be scaled over it."""
    if scope not in SCOPES:
        raise QueryError(f"scope={scope!r} is not possible; choose {' or '.join(SCOPES)}.")
    return scope


def normalise(maps: NDArray[np.float32], scope: str) -> NDArray[np.float32]:
    """Min-max scaling of maps [T, h, w] to 0..1 over each frame or over the clip; a constant map becomes zeros."""
    axes = (1, 2) if scope == "frame" else None
    low = maps.min(axis=axes, keepdims=True)
    span = maps.max(axis=axes, keepdims=True) - low
    return np.divide(maps - low, span, out=np.zeros_like(maps), where=span > 0)


def enlarge(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A map [h, w] at [height, width], bilinear, cell centres where `FeatureGrid` puts them."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def salient_box(image: NDArray[np.float32], height: int, width: int) -> Box | None:
    """The red box of the paper's Figure 5: around the connected region of a map [h, w] above SALIENT of its maximum
    that holds the most of it; (left, top, width, height) in pixels of a clip of `height` x `width`, None for an empty
    map."""
    scale = min(1.0, BOX_SIDE / max(height, width))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    shown = enlarge(image, rows, columns)
    shown = normalise(shown[None], "frame")[0]
    count, regions, boxes, _ = cv2.connectedComponentsWithStats((shown >= SALIENT).astype(np.uint8))
    if count < 2:
        return None
    strongest = 1 + int(np.argmax(np.bincount(regions.ravel(), shown.ravel(), minlength=count)[1:]))
    left, top, wide, high = (int(side) for side in boxes[strongest][:4])
    x, y = width / columns, height / rows
    return left * x - 0.5, top * y - 0.5, wide * x, high * y
