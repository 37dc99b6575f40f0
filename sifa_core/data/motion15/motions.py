"""Which paths make which class: draws speeds, directions, sizes, exposure times and hand-held shake.

Speeds are in cells of the res4 map (16 pixels) between two feature frames (4 input frames): one cell is 4 pixels a
frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifa_core.data.motion15.geometry import CameraPath, Floats, ObjectPath, Pace, Shake
from sifa_core.data.motion15.labels import LABELS

CELL = 16
"""Pixels of a cell of the res4 map."""
SMALL_CELL = 8
"""Pixels of a cell of the res3 map, the finest one with SIFA layers."""
FEATURE_STEP = 4
"""Input frames between two feature frames."""
PIXELS_PER_FRAME = CELL / FEATURE_STEP
"""A speed of one cell per feature frame in pixels a frame."""
SPEED_RANGES = ((0.12, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 3.2))
SPEED_FRACTIONS = (0.22, 0.3, 0.3, 0.18)
"""How often a moving object or a panning camera draws its speed from each range."""
HOLDS = (1, 2, 3, 4)
HOLD_FRACTIONS = (0.62, 0.18, 0.05, 0.15)
"""How many frames one exposure is repeated for: low frame rates, where all motion falls between feature frames."""
DIRECTIONS = {"left": 180.0, "right": 0.0, "up": -90.0, "down": 90.0}
SIZES = (0.17, 0.95)
"""Longer side of a moving object as a fraction of the frame's short side."""
LARGE_SIZES = (0.95, 1.7)
"""The same for objects so near that the frame does not hold them."""
LARGE_FRACTION = 0.15
LEAST_TURNING = 0.22
"""Size, as a fraction of the short side, below which a turn cannot be told."""
LEAST_LOOMING = 0.28
"""The same for the largest size of an object that comes or goes."""
SPREAD = 24.0
"""Largest deviation from the named direction, degrees."""
DRIFT_FRACTION = 0.35
"""Fraction of the clips of moving objects in which the camera drifts as well, as one held in a hand does."""
DRIFT = 0.4
"""Most that it drifts by, as a fraction of the object's own motion."""


@dataclass(frozen=True)
class Plan:
    """Paths of one clip before anything is drawn."""

    label: str
    times: Floats
    """[T], when each frame is exposed, in frames."""
    hold: int
    camera: CameraPath
    size: float
    """Longer side of the moving object at pace 0, as a fraction of the frame's short side."""
    thing: ObjectPath | None
    """The object's path for a sprite of one pixel; None if only the camera moves, or nothing."""
    shake: float
    """Amplitude of the shake, pixels."""


def exposures(rng: np.random.Generator, num_frames: int, between: float = 0.0) -> tuple[Floats, int]:
    """Exposure time of each frame, and how many frames an exposure is held; `between` as in MotionConfig."""
    hold = int(rng.choice(HOLDS, p=HOLD_FRACTIONS))
    frames = np.arange(num_frames)
    phase = int(rng.integers(hold))
    if between > 0 and rng.random() < between:
        hold, phase = FEATURE_STEP, 0
    times = ((frames + phase) // hold * hold - phase).astype(np.float64)
    if hold == 1 and rng.random() < 0.12:  # variable frame rate: some frames are shown twice
        repeated = rng.random(num_frames) < 0.2
        repeated[0] = False
        times[repeated] = times[np.flatnonzero(repeated) - 1]
    return times, hold


def draw_speed(rng: np.random.Generator, fastest: float) -> float:
    """A speed in cells per feature frame, no more than `fastest`."""
    low, high = SPEED_RANGES[rng.choice(len(SPEED_RANGES), p=SPEED_FRACTIONS)]
    return float(min(rng.uniform(low, high), rng.uniform(0.75, 1.0) * fastest))


def _shake(rng: np.random.Generator, amplitude: float, num_frames: int) -> Shake:
    waves = 3
    frequencies = rng.uniform(0.03, 0.16, (waves, 4)) * np.array([1.0, 1.8, 3.0])[:, None]
    strengths = np.array([1.0, 0.5, 0.25])[:, None] * amplitude / 1.3
    kinds = np.array([1.0, 1.0, 0.0035, 0.002])  # radians and log zoom per pixel of shift, as in a hand
    return Shake(
        strengths * kinds * rng.uniform(0.4, 1.0, (waves, 4)),
        frequencies,
        rng.uniform(0, 2 * np.pi, (waves, 4)),
        num_frames,
    )


def _pace(rng: np.random.Generator, num_frames: int) -> Pace:
    uneven = float(rng.uniform(0, 0.5)) if rng.random() < 0.5 else 0.0
    middle = (num_frames - 1) * float(rng.uniform(0.38, 0.62))
    return Pace(middle, uneven, num_frames * float(rng.uniform(0.6, 2.0)), float(rng.uniform(0, 2 * np.pi)))


def _heading(rng: np.random.Generator, direction: str) -> Floats:
    spread = SPREAD * rng.uniform(-1, 1) * rng.random()
    angle = np.deg2rad(DIRECTIONS[direction] + spread)
    return np.array([np.cos(angle), np.sin(angle)])


def make_plan(
    rng: np.random.Generator,
    label: str,
    num_frames: int,
    height: int,
    width: int,
    difficulty: float,
    between: float = 0.0,
) -> Plan:
    """Paths for a class. Raises ValueError for a label that is not one of LABELS."""
    if label not in LABELS:
        raise ValueError(f"{label!r} is no class of motion15")
    times, hold = exposures(rng, num_frames, between)
    short = min(height, width)
    pace = _pace(rng, num_frames)
    amplitude = float(rng.uniform(0.2, 2.6) * difficulty) if rng.random() < 0.6 else 0.0
    smallest, largest = LARGE_SIZES if rng.random() < LARGE_FRACTION else SIZES
    size = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    velocity, zoom_rate, thing = np.zeros(2), 0.0, None
    if label.startswith("object"):
        thing, travel, size = _object_path(rng, label, pace, size, num_frames, height, width, hold)
        if rng.random() < DRIFT_FRACTION * difficulty:
            angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0, DRIFT) * travel / (num_frames - 1)
            velocity = speed * np.array([np.cos(angle), np.sin(angle)])
    elif label == "still":
        travel = np.inf
    elif "zooms" in label:
        ratio = float(np.exp(rng.uniform(np.log(1.22), np.log(3.2))))
        zoom_rate = np.log(ratio) / (num_frames - 1) * (1 if label.endswith("in") else -1)
        velocity = rng.normal(0, 0.12, 2) * abs(zoom_rate) * short / 2
        travel = short * 0.25 * np.log(ratio)
    else:
        extent = width if "pans" in label else height
        fastest = 0.55 * extent / hold / PIXELS_PER_FRAME  # two exposures must share part of the view
        speed = draw_speed(rng, fastest) * PIXELS_PER_FRAME
        velocity = speed * _heading(rng, label.rsplit(" ", 1)[1])
        zoom_rate = float(rng.normal(0, 0.0025))
        travel = speed * (num_frames - 1)
    amplitude = min(amplitude, 0.25 * travel)
    camera = CameraPath(
        ((width - 1) / 2, (height - 1) / 2),
        pace,
        (float(velocity[0]), float(velocity[1])),
        zoom_rate,
        _shake(rng, amplitude, num_frames) if amplitude > 0 else None,
    )
    return Plan(label, times, hold, camera, size, thing, amplitude)


def _object_path(
    rng: np.random.Generator, label: str, pace: Pace, size: float, num_frames: int, height: int, width: int, hold: int
) -> tuple[ObjectPath, float, float]:
    """The object's path, how far it travels (pixels), and its size."""
    short, last = min(height, width), num_frames - 1
    roam = np.array([width, height]) * (0.12 + 0.22 * (1 - min(size, 1.0)))
    position = rng.uniform(-1, 1, 2) * roam
    sway = (
        (
            float(rng.uniform(0, 7)),
            float(rng.uniform(0, 0.05) * size * short),
            float(rng.uniform(0.04, 0.2)),
            float(rng.uniform(0, 6.3)),
        )
        if rng.random() < 0.5
        else (0.0, 0.0, 0.0, 0.0)
    )
    tilt = float(np.deg2rad(rng.normal(0, 8)))
    velocity, bend, spin, growth, anchor = np.zeros(2), np.zeros(2), 0.0, 0.0, np.zeros(2)
    direction = label.rsplit(" ", 1)[1]
    if "moves" in label and direction in DIRECTIONS:
        extent = width if direction in ("left", "right") else height
        fastest = 0.42 * (extent + 0.5 * size * short) / hold / PIXELS_PER_FRAME  # seen at three exposures or more
        speed = draw_speed(rng, fastest) * PIXELS_PER_FRAME
        heading = _heading(rng, direction)
        velocity = speed * heading
        bend = rng.uniform(-0.16, 0.16) * speed / num_frames * np.array([-heading[1], heading[0]])
        growth = float(rng.normal(0, 0.07)) / last
        travel = speed * last
    elif "turns" in label:
        total = np.deg2rad(np.exp(rng.uniform(np.log(40), np.log(520))))
        largest = np.deg2rad(100) / hold  # a turn by half a circle between exposures has no direction
        spin = min(total / last, largest) * (1 if direction == "clockwise" else -1)
        tilt, size = float(rng.uniform(0, 2 * np.pi)), max(size, LEAST_TURNING)
        velocity = rng.normal(0, 0.1, 2) * abs(spin) * size * short / 2
        sway = (0.0, 0.0, 0.0, 0.0)
        travel = abs(spin) * last * size * short / 2
    else:
        ratio = float(np.exp(rng.uniform(np.log(1.3), np.log(4.5))))
        largest = max(0.12 * ratio, LEAST_LOOMING)  # at its largest it is at least this large
        size = float(np.clip(size, largest / np.sqrt(ratio), 2.6 / np.sqrt(ratio)))
        growth = np.log(ratio) / last * (1 if direction == "closer" else -1)
        direction_of_anchor = rng.uniform(0, 2 * np.pi)
        anchor = (
            rng.uniform(0, 0.4) * size * short * np.array([np.cos(direction_of_anchor), np.sin(direction_of_anchor)])
        )
        travel = size * short / 2 * np.log(ratio)
    path = ObjectPath(
        (float(position[0]), float(position[1])),
        1.0,
        pace,
        (float(velocity[0]), float(velocity[1])),
        (float(bend[0]), float(bend[1])),
        tilt,
        float(spin),
        float(growth),
        (float(anchor[0]), float(anchor[1])),
        sway,
    )
    return path, float(travel), size
