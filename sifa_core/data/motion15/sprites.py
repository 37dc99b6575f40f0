"""Things that move: pictures, walking characters, cut-outs of photographs, and puppets with swinging limbs.

A cycle is a sequence of RGBA pictures (premultiplied alpha) shown in turn, so that what moves also changes its shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.data.motion15.material import Image, Material, load_photo, load_sprite, pyramid, turns_visibly
from sifa_core.data.motion15.puppets import puppet_poses

KINDS = ("picture", "character", "cut-out", "puppet")
KIND_FRACTIONS = (0.4, 0.12, 0.24, 0.24)
RIPPLES = 6
"""Pictures in the cycle of a rippling sprite."""


@dataclass(frozen=True)
class Sprite:
    """A thing to be placed in a scene."""

    cycle: tuple[tuple[Image, ...], ...]
    kind: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the full picture, pixels."""
        height, width = self.cycle[0][0].shape[:2]
        return width, height


def premultiply(picture: Image) -> Image:
    """RGBA with straight alpha -> premultiplied."""
    alpha = cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2RGBA)
    alpha[..., 3] = 255
    return cv2.multiply(picture, alpha, scale=1 / 255)


def recolour(rng: np.random.Generator, picture: Image) -> Image:
    """Another saturation, tint and brightness for a premultiplied RGBA picture."""
    saturation, brightness = rng.uniform(0.25, 1.15), rng.uniform(0.55, 1.1)
    grey = np.array([0.299, 0.587, 0.114])
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(grey, (3, 1))
    if rng.random() < 0.25:
        matrix = matrix[rng.permutation(3)]
    matrix = matrix * brightness * rng.uniform(0.85, 1.1, (3, 1))
    full = np.zeros((4, 4))
    full[:3, :3], full[:3, 3], full[3, 3] = matrix, rng.uniform(-0.08, 0.12), 1.0
    changed = cv2.transform(picture, full)
    changed[..., :3] = np.minimum(changed[..., :3], picture[..., 3:])  # premultiplied colour never exceeds alpha
    return changed


def texture(rng: np.random.Generator, files: Material, size: int) -> Image:
    """A square piece of a photograph of the split, RGB [size, size, 3]."""
    photos = files.photographs + files.panoramas
    levels = load_photo(photos[rng.integers(len(photos))])
    fitting = [level for level in levels if min(level.shape[:2]) > size] or [levels[0]]
    level = fitting[rng.integers(len(fitting))]
    side = min(size, *level.shape[:2])
    top, left = (int(rng.integers(extent - side + 1)) for extent in level.shape[:2])
    return cv2.resize(level[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_LINEAR)


def cut_out(rng: np.random.Generator, files: Material, size: int = 96) -> Image:
    """A blob-shaped piece of a photograph, RGBA premultiplied."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = axis[None, :], axis[:, None]
    stretch = float(np.exp(rng.uniform(-0.7, 0.7)))
    x, y = x * max(1.0, stretch), y * max(1.0, 1 / stretch)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    waves = np.arange(2, 7)
    strengths = rng.normal(0, 0.22, len(waves)) / np.sqrt(waves)
    outline = sum(s * np.cos(n * angle + rng.uniform(0, 2 * np.pi)) for n, s in zip(waves, strengths, strict=True))
    edge = 0.72 * (1 + outline) - radius
    softness = rng.uniform(0.03, 0.2)
    alpha = np.clip(edge / softness + 0.5, 0, 1) * np.clip((1 - radius / max(1.0, radius.max())) * 1e3, 0, 1)
    picture = np.dstack([texture(rng, files, size), (alpha * 255).astype(np.uint8)])
    return premultiply(picture)


def ripple(rng: np.random.Generator, picture: Image) -> list[Image]:
    """The picture swaying like something alive or soft: a cycle of warped copies."""
    height, width = picture.shape[:2]
    strength, waves = rng.uniform(0.015, 0.06) * max(height, width), rng.uniform(0.3, 1.2)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    along, across = (rows / height, columns / width) if rng.random() < 0.7 else (columns / width, rows / height)
    frames = []
    for index in range(RIPPLES):
        phase = 2 * np.pi * index / RIPPLES
        swing = np.float32(strength) * np.sin(2 * np.pi * waves * along + np.float32(phase))
        swing2 = np.float32(0.5 * strength) * np.sin(2 * np.pi * waves * across + np.float32(phase))
        frames.append(cv2.remap(picture, columns + swing, rows + swing2, cv2.INTER_LINEAR))
    return frames


def _padded(picture: Image, fraction: float = 0.08) -> Image:
    pad = int(fraction * max(picture.shape[:2])) + 1
    return cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))


def choose_sprite(rng: np.random.Generator, files: Material, turning: bool = False, still: bool = False) -> Sprite:
    """A random thing of the split.

    Args:
        rng: source of all choices.
        files: the split's material.
        turning: only things on which a turn can be seen.
        still: one unchanging picture, for things that do not move.
    """
    kind = KINDS[rng.choice(len(KINDS), p=KIND_FRACTIONS)]
    if kind == "picture":
        file = files.pictures[rng.integers(len(files.pictures))]
        while turning and not turns_visibly(file):
            file = files.pictures[rng.integers(len(files.pictures))]
        pictures = [premultiply(load_sprite(file))]
    elif kind == "character":
        walk = files.characters[rng.integers(len(files.characters))]
        pictures = [premultiply(load_sprite(file)) for file in (walk[:1] if still else walk)]
        pictures = _same_size(pictures)
    elif kind == "cut-out":
        pictures = [cut_out(rng, files)]
    else:
        pictures = puppet_poses(rng, texture(rng, files, 160), texture(rng, files, 160), poses=1 if still else 8)
    if len(pictures) == 1 and not still and rng.random() < 0.45:
        pictures = ripple(rng, _padded(pictures[0]))
    seed = int(rng.integers(2**32))
    if rng.random() < 0.6:
        pictures = [recolour(np.random.default_rng(seed), picture) for picture in pictures]
    return Sprite(tuple(pyramid(picture) for picture in pictures), kind)


def _same_size(pictures: list[Image]) -> list[Image]:
    """Frames of a walk cycle, feet on one line, on canvases of one size."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    out = []
    for picture in pictures:
        canvas: NDArray[np.uint8] = np.zeros((height, width, 4), np.uint8)
        top, left = height - picture.shape[0], (width - picture.shape[1]) // 2
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        out.append(canvas)
    return out
