"""RandAugment (Cubuk et al. 2020) for clips: a few operations drawn from a list, each the same for all frames.

The sixteen operations and their ranges are those of the SIFA authors' training. Colours are changed by Pillow, which
sees the clip as one tall picture, so that what depends on the picture, such as the darkest value, is the same for all
frames; pictures are moved by OpenCV. Frames: uint8 [T, H, W, 3].

A shift leaves every direction as it is. Rotation and shears turn directions: by at most 30 and 17 degrees alone, but
two of them by more than the 45 beyond which "left" is nearer to "up". Where a label names a direction, one of them at
most is drawn for a clip; nothing here mirrors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

Frames = NDArray[np.uint8]
LARGEST = 30
"""The magnitude at which every operation has its largest strength."""
CUTOUT_COLOUR = (125, 123, 114)


@dataclass(frozen=True)
class Operation:
    """One way to change a clip."""

    apply: Callable[[Frames, float, np.random.Generator], Frames]
    """Frames, strength and a generator for places -> frames."""
    largest: float
    """The strength at the largest magnitude; it grows linearly from 0."""
    is_signed: bool = False
    """Whether the strength is taken negative half of the time."""
    turns: bool = False
    """Whether it turns directions."""


def rand_augment(
    frames: Frames, generator: np.random.Generator, *, count: int, magnitude: float, keep_directions: bool
) -> Frames:
    """`count` operations one after another, drawn with repetition, at strength `magnitude` of `LARGEST`."""
    may_turn = True
    for _ in range(count):
        names = [name for name, operation in OPERATIONS.items() if may_turn or not operation.turns]
        operation = OPERATIONS[names[int(generator.integers(len(names)))]]
        strength = operation.largest * magnitude / LARGEST
        if operation.is_signed and generator.random() < 0.5:
            strength = -strength
        frames = operation.apply(frames, strength, generator)
        may_turn = may_turn and not (keep_directions and operation.turns)
    return frames


def as_picture(frames: Frames) -> Image.Image:
    """The frames one below the other."""
    return Image.fromarray(np.ascontiguousarray(frames).reshape(-1, *frames.shape[2:]))


def as_frames(picture: Image.Image, like: Frames) -> Frames:
    """Undo `as_picture`."""
    return np.asarray(picture).reshape(like.shape)


def enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance], frames: Frames, factor: float) -> Frames:
    """Pillow's enhancement of the whole clip: brightness, contrast or colour times `factor`."""
    return as_frames(kind(as_picture(frames)).enhance(factor), frames)


def _pillow(change: Callable[[Image.Image, float], Image.Image]) -> Callable[..., Frames]:
    return lambda frames, strength, generator: as_frames(change(as_picture(frames), strength), frames)


def _enhancement(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return Operation(lambda frames, strength, generator: enhanced(kind, frames, 1 - strength), 0.9, is_signed=True)


def _sharpness(frames: Frames, strength: float, generator: np.random.Generator) -> Frames:
    """Frame by frame, for it looks at a pixel's neighbours."""
    sharpened = (ImageEnhance.Sharpness(Image.fromarray(frame)).enhance(1 - strength) for frame in frames)
    return np.stack([np.asarray(frame) for frame in sharpened])


def _solarize_add(frames: Frames, strength: float, generator: np.random.Generator) -> Frames:
    values = np.arange(256)
    table = np.where(values < 128, np.minimum(values + int(strength), 255), values).astype(np.uint8)
    return table[frames]


def _cutout(frames: Frames, strength: float, generator: np.random.Generator) -> Frames:
    """A grey square whose side is `strength` of the width, at one place in all frames."""
    height, width = frames.shape[1:3]
    side, (x, y) = strength * width, generator.random(2) * (width, height)
    left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
    frames = frames.copy()
    frames[:, top : int(top + side) + 1, left : int(left + side) + 1] = CUTOUT_COLOUR
    return frames


def _moved(matrix: Callable[[float, int, int], NDArray[np.float64]]) -> Callable[..., Frames]:
    """An affine map; `matrix` of strength, height and width is [2, 3], from the new picture's (x, y) to the old."""

    def apply(frames: Frames, strength: float, generator: np.random.Generator) -> Frames:
        height, width = frames.shape[1:3]
        inverse = matrix(strength, height, width)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.stack([cv2.warpAffine(frame, inverse, (width, height), flags=flags) for frame in frames])

    return apply


def _affine(*rows: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.array(rows, np.float64)


def _rotation(degrees: float, height: int, width: int) -> NDArray[np.float64]:
    inverse = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    return np.asarray(inverse, np.float64)


_ROW, _COLUMN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)

OPERATIONS = {
    "auto_contrast": Operation(_pillow(lambda picture, strength: ImageOps.autocontrast(picture)), 0),
    "equalize": Operation(_pillow(lambda picture, strength: ImageOps.equalize(picture)), 0),
    "invert": Operation(_pillow(lambda picture, strength: ImageOps.invert(picture)), 0),
    "posterize": Operation(
        _pillow(lambda picture, strength: ImageOps.posterize(picture, max(1, 4 - int(strength)))), 4
    ),
    "solarize": Operation(_pillow(lambda picture, strength: ImageOps.solarize(picture, int(256 - strength))), 256),
    "solarize_add": Operation(_solarize_add, 110),
    "color": _enhancement(ImageEnhance.Color),
    "contrast": _enhancement(ImageEnhance.Contrast),
    "brightness": _enhancement(ImageEnhance.Brightness),
    "sharpness": Operation(_sharpness, 0.9, is_signed=True),
    "cutout": Operation(_cutout, 0.3571),
    "rotate": Operation(_moved(_rotation), 30, is_signed=True, turns=True),
    "shear_x": Operation(_moved(lambda s, height, width: _affine((1, s, 0), _COLUMN)), 0.3, True, True),
    "shear_y": Operation(_moved(lambda s, height, width: _affine(_ROW, (s, 1, 0))), 0.3, True, True),
    "translate_x": Operation(_moved(lambda s, height, width: _affine((1, 0, s * width), _COLUMN)), 0.4464, True),
    "translate_y": Operation(_moved(lambda s, height, width: _affine(_ROW, (0, 1, s * height))), 0.4464, True),
}
