"""From frames to model input: the whole picture for explanations, the paper's crops for training and evaluation.

T frames, H height, W width. Everything random takes an explicit generator, and does the same to every frame of a clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""uint8 [T, H, W, 3], RGB."""


def to_model_input(
    frames: Frames, *, short_side: int, stride: int, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """The whole picture as a model takes it: float32 (1, 3, T, h, w), nothing cropped.

    The short side becomes about `short_side`, the aspect is kept, and both sides are rounded to multiples of
    `stride` (at least one), so that a feature map covers the picture exactly. `mean` and `std` are per channel, for
    values between 0 and 1.
    """
    height, width = frames.shape[1:3]
    size = model_input_size(height, width, short_side=short_side, stride=stride)
    values = torch.from_numpy(resize(frames, size).astype(np.float32))  # a copy: torch warns of read-only frames
    return normalize(values, mean, std).contiguous().unsqueeze(0)


def model_input_size(height: int, width: int, *, short_side: int, stride: int) -> tuple[int, int]:
    """(h, w) that `to_model_input` resizes to."""
    if short_side < 1 or stride < 1:
        raise ValueError("short_side and stride must be at least 1")
    scale = short_side / min(height, width)
    h, w = (max(1, round(side * scale / stride)) * stride for side in (height, width))
    return h, w


def resize(frames: Frames, size: tuple[int, int]) -> Frames:
    """Frames at (h, w): pixel areas are averaged where they shrink, interpolated where they grow."""
    height, width = frames.shape[1:3]
    if (height, width) == tuple(size):
        return frames
    shrinks = size[0] < height or size[1] < width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (size[1], size[0]), interpolation=method) for frame in frames])


def resize_short_side(frames: Frames, short_side: int) -> Frames:
    """Frames whose short side has `short_side` pixels, aspect kept."""
    height, width = frames.shape[1:3]
    scale = short_side / min(height, width)
    return resize(frames, (max(1, round(height * scale)), max(1, round(width * scale))))


def normalize(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Values 0..255, [..., T, H, W, 3] -> float32 [..., 3, T, H, W], each channel (value / 255 - mean) / std."""
    # One multiplication and one addition per value instead of three passes.
    deviation = torch.tensor(std, dtype=torch.float64)
    scale = (1 / (255 * deviation)).float().to(frames.device)
    shift = (-torch.tensor(mean, dtype=torch.float64) / deviation).float().to(frames.device)
    return (frames.float() * scale + shift).movedim(-1, -4)


def random_resize_crop(
    frames: Frames,
    generator: np.random.Generator,
    *,
    crop: int = 224,
    short_sides: tuple[int, int] = (256, 340),
) -> Frames:
    """Paper, section 4.1: short side drawn from [256, 340], then a crop x crop window drawn anywhere in it."""
    low, high = short_sides
    if not crop <= low <= high:
        raise ValueError("the crop must fit into the smallest short side, and the range must not be empty")
    resized = resize_short_side(frames, int(generator.integers(low, high + 1)))
    top = int(generator.integers(resized.shape[1] - crop + 1))
    left = int(generator.integers(resized.shape[2] - crop + 1))
    return resized[:, top : top + crop, left : left + crop]


def random_resized_crop(
    frames: Frames,
    generator: np.random.Generator,
    *,
    crop: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> Frames:
    """A window of a drawn fraction of the picture's area and a drawn width over height, resized to crop x crop.

    Inception's way, and the authors': ten tries; then, of a picture too long for any, the largest window in the middle.
    """
    height, width = frames.shape[1:3]
    for _ in range(10):
        pixels = height * width * generator.uniform(*area)
        ratio = math.exp(generator.uniform(math.log(aspect[0]), math.log(aspect[1])))
        h, w = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < h <= height and 0 < w <= width:
            top, left = (int(generator.integers(room + 1)) for room in (height - h, width - w))
            break
    else:
        h, w = min(height, round(width / aspect[0])), min(width, round(height * aspect[1]))
        top, left = (height - h) // 2, (width - w) // 2
    return resize(frames[:, top : top + h, left : left + w], (crop, crop))


def random_flip(frames: Frames, generator: np.random.Generator, *, enabled: bool = True) -> Frames:
    """Mirror left and right in half of the cases; `enabled=False` where a label names a direction.

    One number is drawn either way, so that the choice changes nothing else of a seeded run.
    """
    mirrored = generator.random() < 0.5
    return frames[:, :, ::-1] if enabled and mirrored else frames


def center_crop(frames: Frames, crop: int) -> Frames:
    """The middle crop x crop window of the frames whose short side is first made `crop` pixels or stays larger."""
    return _window(_at_least(frames, crop), crop, 0.5)


def three_crops(frames: Frames, crop: int) -> list[Frames]:
    """Three crop x crop windows evenly along the long side, in the middle of the short one."""
    enlarged = _at_least(frames, crop)
    return [_window(enlarged, crop, fraction) for fraction in (0.0, 0.5, 1.0)]


def _at_least(frames: Frames, crop: int) -> Frames:
    return resize_short_side(frames, crop) if min(frames.shape[1:3]) < crop else frames


def _window(frames: Frames, crop: int, fraction: float) -> Frames:
    """The window that lies at `fraction` of the way along the long side."""
    height, width = frames.shape[1:3]
    along_width = width >= height
    top = round((height - crop) * (0.5 if along_width else fraction))
    left = round((width - crop) * (fraction if along_width else 0.5))
    return frames[:, top : top + crop, left : left + crop]
