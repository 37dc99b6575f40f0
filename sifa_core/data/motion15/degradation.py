"""What a camera and a codec do to a clip: light, colour, blur, grain, compression, black bars."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.data.motion15.material import Image

GRAIN_SIZE = 320


@functools.cache
def _grain() -> NDArray[np.float32]:
    """A fixed sheet of unit noise that every clip takes random windows of: far cheaper than fresh noise."""
    return np.random.default_rng(15).standard_normal((GRAIN_SIZE, GRAIN_SIZE, 3)).astype(np.float32)


def degrade(rng: np.random.Generator, frames: Image, difficulty: float) -> tuple[Image, dict[str, Any]]:
    """The clip [T, H, W, 3] as some real camera might have delivered it, and what was done to it.

    Args:
        rng: source of all choices.
        frames: uint8; not changed.
        difficulty: 0 leaves grain, compression and loss of contrast out, 1 is the full set.
    """
    facts: dict[str, Any] = {}
    frames = _colour(rng, frames, difficulty)
    if rng.random() < 0.3 * difficulty:
        frames = _soften(rng, frames)
        facts["soft"] = True
    if rng.random() < 0.6 * difficulty:
        sigma = float(rng.uniform(1, 9)) * difficulty
        frames = _noise(rng, frames, sigma)
        facts["grain"] = round(sigma, 1)
    if rng.random() < 0.5 * difficulty:
        quality = int(rng.integers(15, 80))
        frames = np.stack([_jpeg(frame, quality) for frame in frames])
        facts["jpeg_quality"] = quality
    if rng.random() < 0.04:
        frames = frames.copy()
        bar = int(frames.shape[1] * rng.uniform(0.05, 0.14))
        frames[:, :bar], frames[:, -bar:] = 0, 0
    return frames, facts


def _colour(rng: np.random.Generator, frames: Image, difficulty: float) -> Image:
    count, height, width, _ = frames.shape
    saturation = 0.0 if rng.random() < 0.07 else float(rng.uniform(0.4, 1.2))
    grey = np.array([0.299, 0.587, 0.114])
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(grey, (3, 1))
    matrix = matrix * rng.uniform(0.9, 1.1, (3, 1))
    frames = cv2.transform(frames.reshape(count * height, width, 3), matrix).reshape(frames.shape)
    low_contrast = rng.random() < 0.25 * difficulty
    contrast = float(rng.uniform(0.35, 0.7) if low_contrast else rng.uniform(0.75, 1.2))
    pivot, lift = float(rng.uniform(90, 150)), float(rng.uniform(-20, 20))
    gamma = float(np.exp(rng.uniform(-0.35, 0.35)))
    ramp = 255 * (np.arange(256) / 255) ** gamma
    drift = rng.uniform(-0.1, 0.1) if rng.random() < 0.3 else 0.0
    flicker = rng.uniform(0, 0.02) if rng.random() < 0.2 else 0.0
    out = np.empty_like(frames)
    for index, frame in enumerate(frames):
        gain = 1 + drift * (index / max(count - 1, 1) - 0.5) + flicker * rng.standard_normal()
        table = np.clip(((ramp - pivot) * contrast + pivot) * gain + lift, 0, 255).astype(np.uint8)
        cv2.LUT(frame, table, dst=out[index])
    return out


def _soften(rng: np.random.Generator, frames: Image) -> Image:
    height, width = frames.shape[1:3]
    if rng.random() < 0.5:
        sigma = float(rng.uniform(0.4, 1.2))
        return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    scale = rng.uniform(0.4, 0.8)
    small = (max(8, int(width * scale)), max(8, int(height * scale)))
    shrunk = (cv2.resize(frame, small, interpolation=cv2.INTER_AREA) for frame in frames)
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in shrunk])


def _noise(rng: np.random.Generator, frames: Image, sigma: float) -> Image:
    count, height, width, _ = frames.shape
    sheet = (_grain() * sigma).astype(np.int16)
    if height > GRAIN_SIZE or width > GRAIN_SIZE:
        sheet = np.tile(sheet, (height // GRAIN_SIZE + 1, width // GRAIN_SIZE + 1, 1))
    rows = rng.integers(0, sheet.shape[0] - height + 1, count)
    columns = rng.integers(0, sheet.shape[1] - width + 1, count)
    out = np.empty_like(frames)
    for index, (top, left) in enumerate(zip(rows, columns, strict=True)):
        grain = sheet[top : top + height, left : left + width]
        out[index] = cv2.add(frames[index], grain, dtype=cv2.CV_8U)
    return out


def _jpeg(frame: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return frame if decoded is None else decoded
