"""Paths through time: where the camera looks and where an object is, as 3x3 matrices for any time in frames.

x points right, y down; angles grow clockwise as seen on the screen. T times.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def similarity(x: Floats, y: Floats, angle: Floats, scale: Floats) -> Floats:
    """[T, 3, 3]: scale, then turn (radians), about the origin, then move to (x, y) (pixels)."""
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    zero, one = np.zeros_like(cosine), np.ones_like(cosine)
    rows = [cosine, -sine, x + zero, sine, cosine, y + zero, zero, zero, one]
    return np.stack(rows, axis=-1).reshape(-1, 3, 3)


def shift(x: float, y: float) -> Floats:
    """[3,3]: move by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Pace:
    """Progress through time: uneven, never backwards, and zero at `middle`."""

    middle: float
    """Time in frames at which the progress is zero."""
    unevenness: float = 0.0
    """0 is steady; below 1."""
    wavelength: float = 16.0
    """Frames from one slow moment to the next."""
    phase: float = 0.0

    def __call__(self, time: Floats) -> Floats:
        """Progress in frames of steady motion."""
        turn = 2 * np.pi / self.wavelength
        wave = np.sin(turn * time + self.phase) - np.sin(turn * self.middle + self.phase)
        return (time - self.middle) + self.unevenness / turn * wave


@dataclass(frozen=True)
class Shake:
    """Hand-held jitter: a few slow sinusoids with their linear trend taken out, so that it leads nowhere."""

    amplitudes: Floats
    """[waves, 4]: x and y in pixels, roll in radians, log zoom."""
    frequencies: Floats
    """[waves, 4], cycles a frame."""
    phases: Floats
    """[waves, 4]"""
    num_frames: int

    def _waves(self, time: Floats) -> Floats:
        angle = 2 * np.pi * self.frequencies * time[:, None, None] + self.phases
        return (self.amplitudes * np.sin(angle)).sum(axis=1)

    def __call__(self, time: Floats) -> Floats:
        """[T, 4]: x, y, roll, log zoom."""
        grid = np.arange(self.num_frames, dtype=np.float64)
        samples = self._waves(grid)
        centred = grid - grid.mean()
        slope = centred @ samples / max(float(centred @ centred), 1e-9)
        return self._waves(time) - samples.mean(axis=0) - (time - grid.mean())[:, None] * slope


@dataclass(frozen=True)
class CameraPath:
    """Where the camera looks: a moving point of the world at the frame's centre, a zoom, and a shake."""

    centre: tuple[float, float]
    """Frame centre in pixels."""
    pace: Pace
    velocity: tuple[float, float] = (0.0, 0.0)
    """Of the point looked at, pixels a frame at zoom 1."""
    zoom_rate: float = 0.0
    """Log zoom a frame; positive zooms in."""
    shake: Shake | None = None

    def view(self, time: Floats, shaken: bool = True) -> Floats:
        """[T, 3, 3] from world to frame. World units are pixels at zoom 1, the origin is looked at at pace 0."""
        progress = self.pace(time)
        moves = self.shake(time) if shaken and self.shake is not None else np.zeros((len(time), 4))
        zoom = np.exp(self.zoom_rate * progress + moves[:, 3])
        view = similarity(-self.velocity[0] * progress, -self.velocity[1] * progress, 0 * zoom, 1 + 0 * zoom)
        place = similarity(self.centre[0] + moves[:, 0], self.centre[1] + moves[:, 1], moves[:, 2], zoom)
        return place @ view


@dataclass(frozen=True)
class ObjectPath:
    """Where an object is in the world: position, turn and size against time."""

    position: tuple[float, float]
    """At pace 0, pixels from the world's origin."""
    scale: float
    """Frame pixels per sprite pixel at pace 0."""
    pace: Pace = field(default_factory=lambda: Pace(0.0))
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels a frame."""
    bend: tuple[float, float] = (0.0, 0.0)
    """Pixels a frame squared: a slightly curved path."""
    angle: float = 0.0
    """At pace 0, radians."""
    spin: float = 0.0
    """Radians a frame, clockwise positive."""
    growth: float = 0.0
    """Log scale a frame."""
    anchor: tuple[float, float] = (0.0, 0.0)
    """Point, in pixels from the position, that stays in place while the object grows, for example its feet."""
    sway: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """In-place rocking: degrees, bounce in pixels, cycles a frame, phase."""

    def place(self, time: Floats) -> Floats:
        """[T, 3, 3] from sprite (origin at its centre) to world."""
        progress = self.pace(time)
        size = np.exp(self.growth * progress)
        degrees, bounce, frequency, phase = self.sway
        swing = np.sin(2 * np.pi * frequency * time + phase)
        x = self.position[0] + self.velocity[0] * progress + self.bend[0] * progress**2 + self.anchor[0] * (1 - size)
        y = self.position[1] + self.velocity[1] * progress + self.bend[1] * progress**2 + self.anchor[1] * (1 - size)
        angle = self.angle + self.spin * progress + np.deg2rad(degrees) * swing
        return similarity(x, y - bounce * np.abs(swing), angle, self.scale * size)
