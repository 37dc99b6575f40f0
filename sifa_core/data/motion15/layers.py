"""Layers and how they are put together: every picture in a scene is a stack of flat layers moved by affine maps.

T frames of H x W pixels. A layer's map takes sprite pixels to frame pixels; pixel centres are at integers. Because each
layer moves affinely between two frames, the optical flow of every visible pixel is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.data.motion15.geometry import Floats
from sifa_core.data.motion15.material import Image

LEAST_BLUR = 1.3
"""Motion blur shorter than this many pixels is not drawn."""
LONGEST_BLUR = 15
SOLID = 128
"""Alpha from which a layer's pixel counts as the layer's for flow and mask."""


@dataclass(frozen=True)
class Layer:
    """One flat picture, or a cycle of pictures, moving through the clip."""

    cycle: tuple[tuple[Image, ...], ...]
    """Pictures to show, each as a pyramid; RGBA with premultiplied alpha, or RGB for a background."""
    shown: NDArray[np.int64]
    """[T], which picture of the cycle each frame shows."""
    place: Floats
    """[T, 3, 3] from picture pixels to frame pixels."""
    smear: Floats
    """[T, 2], motion blur in pixels of the layer's centre while the shutter is open."""
    moves: bool = False
    """Whether this layer is what the label speaks of."""


def _at_level(matrix: Floats, levels: tuple[Image, ...]) -> tuple[Image, Floats]:
    """The pyramid level that needs the least shrinking, and the map from its pixels."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-6)) + 0.25), 0, len(levels) - 1))
    full, picture = levels[0], levels[level]
    ratio_x, ratio_y = full.shape[1] / picture.shape[1], full.shape[0] / picture.shape[0]
    enlarge = np.array([[ratio_x, 0, 0.5 * ratio_x - 0.5], [0, ratio_y, 0.5 * ratio_y - 0.5], [0, 0, 1.0]])
    return picture, matrix @ enlarge


def _smear(picture: NDArray, vector: Floats) -> NDArray:
    """Blur along a straight line of the vector's length."""
    length = float(np.hypot(*vector))
    if length < LEAST_BLUR:
        return picture
    vector = vector * min(1.0, LONGEST_BLUR / length)
    reach = int(np.ceil(np.abs(vector).max() / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    steps = np.linspace(-0.5, 0.5, 4 * reach + 1)
    columns, rows = np.rint(steps * vector[0]).astype(int) + reach, np.rint(steps * vector[1]).astype(int) + reach
    np.add.at(kernel, (rows, columns), 1.0 / len(steps))
    return cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def draw_background(layer: Layer, frame: int, height: int, width: int) -> Image:
    """The whole frame, uint8 [H, W, 3]."""
    picture, matrix = _at_level(layer.place[frame], layer.cycle[layer.shown[frame]])
    drawn = cv2.warpAffine(
        picture, matrix[:2], (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return _smear(drawn, layer.smear[frame])


def draw_sprite(layer: Layer, frame: int, height: int, width: int) -> tuple[Image, int, int] | None:
    """The layer's part inside the frame: premultiplied RGBA, and its left and top edge; None if it is outside."""
    picture, matrix = _at_level(layer.place[frame], layer.cycle[layer.shown[frame]])
    rows, columns = picture.shape[:2]
    corners = matrix[:2] @ np.array([[-1, columns, columns, -1], [-1, -1, rows, rows], [1, 1, 1, 1.0]])
    margin = min(float(np.abs(layer.smear[frame]).max()) / 2, LONGEST_BLUR) + 1
    left, top = np.floor(corners.min(axis=1) - margin).astype(int)
    right, bottom = np.ceil(corners.max(axis=1) + margin).astype(int) + 1
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if right - left < 1 or bottom - top < 1:
        return None
    local = matrix[:2].copy()
    local[:, 2] -= (left, top)
    drawn = cv2.warpAffine(picture, local, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    return _smear(drawn, layer.smear[frame]), left, top


def draw_frame(
    background: Layer, layers: list[Layer], frame: int, height: int, width: int
) -> tuple[Image, NDArray[np.int8]]:
    """One frame, uint8 [H, W, 3], and the index of the layer at every pixel, int8 [H, W], -1 for the background."""
    canvas = draw_background(background, frame, height, width)
    owner = np.full((height, width), -1, np.int8)
    for index, layer in enumerate(layers):
        part = draw_sprite(layer, frame, height, width)
        if part is None:
            continue
        sprite, left, top = part
        window = np.s_[top : top + sprite.shape[0], left : left + sprite.shape[1]]
        alpha = sprite[..., 3]
        keep = cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB)
        below = np.ascontiguousarray(canvas[window])
        canvas[window] = cv2.add(cv2.multiply(below, keep, scale=1 / 255), np.ascontiguousarray(sprite[..., :3]))
        owner[window][alpha >= SOLID] = index
    return canvas, owner


def flow_between(background: Layer, layers: list[Layer], frame: int, owner: NDArray[np.int8]) -> NDArray[np.float32]:
    """Flow of every pixel of `frame` to the next frame, float32 [H, W, 2] (x right, y down), in pixels."""
    height, width = owner.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    return displacement(background, layers, frame, frame + 1, grid, owner).astype(np.float32)


def displacement(
    background: Layer, layers: list[Layer], frame: int, later: int, points: Floats, owner: NDArray[np.int8]
) -> Floats:
    """How far each point [...,2] of `frame` has moved in frame `later`, in pixels, x right and y down.

    `owner` [...] is the index of the layer seen at each point, -1 for the background.
    """
    moved = np.empty_like(points)
    for index in range(-1, len(layers)):
        seen = owner == index
        if not seen.any():
            continue
        place = (layers[index] if index >= 0 else background).place
        step = place[later] @ np.linalg.inv(place[frame])
        moved[seen] = points[seen] @ step[:2, :2].T + step[:2, 2] - points[seen]
    return moved
