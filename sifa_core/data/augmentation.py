"""What training does to a clip beside cropping it: colours, grey, blur, RandAugment. Every frame gets the same.

Colours are changed by Pillow and pictures blurred by OpenCV, which are needed anyway; torchvision's transforms cannot
be imported beside a CPU build of torch, and timm needs torchvision. Frames: uint8 [T, H, W, 3].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from sifa_core.data.rand_augment import LARGEST, as_frames, as_picture, enhanced, rand_augment
from sifa_core.errors import ConfigError

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How training clips are changed; by default only the crop of the paper's section 4.1."""

    crop: Literal["short_side", "resized"] = "short_side"
    """ "short_side": a window of the picture whose short side is drawn (section 4.1). "resized": a window of an area
    and aspect drawn from `area` and `aspect`, resized to the crop (the authors' code)."""
    area: tuple[float, float] = (0.2, 1.0)
    """Least and largest fraction of the picture, for "resized"."""
    aspect: tuple[float, float] = (0.75, 4 / 3)
    """Least and largest width over height, for "resized"."""
    jitter: tuple[float, ...] = ()
    """Strength of brightness, contrast, saturation and hue, for four of five clips; empty for none."""
    grey: float = 0.0
    """Fraction of clips without colour."""
    blur: float = 0.0
    """Fraction of clips that are blurred, by a deviation of 0.1 to 2 pixels."""
    rand_augment: int = 0
    """RandAugment's operations for each clip."""
    magnitude: float = 9.0
    """Their strength, up to 30."""
    mixup: float = 0.0
    """Parameter of the beta distribution of Mixup's weights; 0 for none. With CutMix, each has half of the batches."""
    cutmix: float = 0.0
    """The same for CutMix."""

    def __post_init__(self) -> None:
        for name in ("area", "aspect", "jitter"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("area", "aspect"):
            values = getattr(self, name)
            most = 1.0 if name == "area" else 100.0
            if len(values) != 2 or not 0 < values[0] <= values[1] <= most:
                raise ConfigError(f"augment.{name}={values} is not possible; it is two rising numbers up to {most:g}.")
        if len(self.jitter) not in (0, 4) or not all(0 <= value <= 1 for value in self.jitter):
            raise ConfigError(
                f"augment.jitter={self.jitter} is not possible; it is four numbers from 0 to 1, or empty."
            )
        if self.jitter and self.jitter[3] > 0.5:
            raise ConfigError(f"augment.jitter={self.jitter} is not possible; the last one, hue, is at most 0.5.")
        for name, most in (("grey", 1), ("blur", 1), ("rand_augment", 16), ("magnitude", LARGEST)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"augment.{name}={getattr(self, name)} is not possible; it lies from 0 to {most}.")
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) <= 100:
                raise ConfigError(f"augment.{name}={getattr(self, name)} is not possible; it lies from 0 to 100.")

    @property
    def mixes(self) -> bool:
        """Whether clips of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def is_for_files(self) -> bool:
        """Whether anything is changed that only clips from files can have."""
        return self.crop != "short_side" or bool(self.jitter or self.grey or self.blur or self.rand_augment)


JITTERED = 0.8
"""Fraction of clips whose colours are jittered."""
BLUR = (0.1, 2.0)
"""Least and largest deviation of the blur, in pixels."""


def augment(frames: Frames, generator: np.random.Generator, settings: Augmentation, *, keep_directions: bool) -> Frames:
    """The cropped frames, changed as the settings say; nothing is drawn for what they leave out.

    With `keep_directions` no direction becomes another one's, see `rand_augment`.
    """
    if settings.rand_augment:
        count, magnitude = settings.rand_augment, settings.magnitude
        frames = rand_augment(frames, generator, count=count, magnitude=magnitude, keep_directions=keep_directions)
    if settings.jitter and generator.random() < JITTERED:
        frames = jitter(frames, generator, settings.jitter)
    if settings.grey and generator.random() < settings.grey:
        frames = as_frames(as_picture(frames).convert("L").convert("RGB"), frames)
    if settings.blur and generator.random() < settings.blur:
        deviation = generator.uniform(*BLUR)
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), deviation) for frame in frames])
    return frames


def jitter(frames: Frames, generator: np.random.Generator, strengths: tuple[float, ...]) -> Frames:
    """Brightness, contrast, saturation and hue changed by up to `strengths`, in a drawn order."""
    for part in generator.permutation(4):
        strength, drawn = strengths[part], generator.uniform(-1, 1)
        if strength == 0:
            continue
        if part == 3:
            frames = turn_hue(frames, strength * drawn)
        else:
            kind = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[part]
            frames = enhanced(kind, frames, 1 + strength * drawn)
    return frames


def turn_hue(frames: Frames, turn: float) -> Frames:
    """Hue turned by the fraction `turn` of the circle."""
    hue, saturation, value = as_picture(frames).convert("HSV").split()
    turned = hue.point([round(level + 256 * turn) % 256 for level in range(256)])
    return as_frames(Image.merge("HSV", (turned, saturation, value)).convert("RGB"), frames)
