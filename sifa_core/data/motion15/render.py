"""motion15: clips labelled by what moves, drawn on the fly. One frame alone tells nothing about the class.

Everything follows from (seed, split, index), whichever process draws it. T frames of H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.motion15.degradation import degrade
from sifa_core.data.motion15.labels import LABELS, speed_bin
from sifa_core.data.motion15.layers import Layer, displacement, draw_frame, flow_between
from sifa_core.data.motion15.material import SPLITS, material
from sifa_core.data.motion15.motions import CELL, FEATURE_STEP, SMALL_CELL, Plan, make_plan
from sifa_core.data.motion15.scene import make_background, make_layers
from sifa_core.errors import ConfigError

SMALLEST, LARGEST = 32, 512


@dataclass(frozen=True)
class MotionConfig:
    """Size and difficulty of the clips."""

    num_frames: int = 16
    """T, at least 2."""
    height: int = 96
    """H in pixels, 32 to 512."""
    width: int = 96
    """W in pixels, 32 to 512."""
    difficulty: float = 1.0
    """1 is the full set; towards 0 there is less shake, grain, compression and clutter at the same speeds and sizes."""
    between: float = 0.0
    """Share of clips, on top of the few that are so by chance, in which all motion falls between feature frames: each
    feature frame's input frames show one moment, so that no layer but those that compare feature frames can see it."""

    def __post_init__(self) -> None:
        if not 2 <= self.num_frames <= 256:
            raise ConfigError(f"num_frames={self.num_frames!r} is not possible; it lies from 2 to 256.")
        for name in ("height", "width"):
            value = getattr(self, name)
            if not SMALLEST <= value <= LARGEST:
                raise ConfigError(f"{name}={value!r} is not possible; it lies from {SMALLEST} to {LARGEST}.")
        for name in ("difficulty", "between"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}={value!r} is not possible; it lies from 0 to 1.")


@dataclass(frozen=True)
class MotionSample:
    """One clip and the truth about it."""

    frames: NDArray[np.uint8]
    """RGB [T, H, W, 3]."""
    label: int
    """Index into LABELS."""
    speed: float
    """Mean motion of what moves, in cells of the res4 map (16 pixels) per feature frame (4 input frames); no shake."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What was drawn: background, kind of object, hold, shake, degradations."""
    flow: NDArray[np.float32] | None = None
    """[T-1,H,W,2], x right and y down, pixels from each frame to the next, shake included. On request."""
    moving: NDArray[np.bool_] | None = None
    """[T, H, W], pixels of the moving object, or all of them where the camera moves. On request."""

    cell_motion: NDArray[np.float32] | None = None
    """[F,H/8,W/8,2], x right and y down: pixels that the centre of each cell of 8 pixels moves from each of F feature
    frames to the next, 0 for the last one; NaN where it leaves the picture. On request."""

    @property
    def speed_bin(self) -> int:
        """Index into SPEED_BINS."""
        return speed_bin(self.speed)


def label_of(seed: int, split: str, index: int) -> int:
    """The class of a sample; each run of 15 samples holds every class once, in random order."""
    block, place = divmod(index, len(LABELS))
    rng = np.random.default_rng([seed, SPLITS.index(split), block, 1])
    return int(rng.permutation(len(LABELS))[place])


def render(
    seed: int,
    split: str,
    index: int,
    config: MotionConfig | None = None,
    *,
    truth: bool = False,
    cell_motion: bool = False,
) -> MotionSample:
    """Draw one clip.

    Args:
        seed: of the whole set.
        split: "train", "val" or "test"; they share no sprite and no background.
        index: which clip, from 0; there is no end.
        config: size and difficulty.
        truth: also return flow and the mask of moving pixels (slower).
        cell_motion: also return how the cells move from feature frame to feature frame.

    Raises:
        ConfigError: an unknown split or a negative index or seed.
    """
    config = config or MotionConfig()
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    if index < 0 or seed < 0:
        raise ConfigError(f"seed={seed} and index={index} must not be negative.")
    label = label_of(seed, split, index)
    height, width = config.height, config.width
    plan, rng = _plan(seed, split, index, config)
    files = material(split)
    shutter = float(rng.uniform(0.3, 0.9)) if rng.random() < 0.6 else 0.0
    background, name = make_background(rng, files, plan, height, width, shutter)
    layers, kind = make_layers(rng, files, plan, background, height, width, config.difficulty, shutter)
    _, firsts, shows = np.unique(plan.times, return_index=True, return_inverse=True)
    exposed = [draw_frame(background, layers, int(frame), height, width) for frame in firsts]
    drawn = [exposed[exposure] for exposure in shows]
    frames, facts = degrade(rng, np.stack([frame for frame, _ in drawn]), config.difficulty)
    facts |= {
        "background": name,
        "object": kind,
        "hold": plan.hold,
        "shake": round(plan.shake, 2),
        "size": round(plan.size, 2),
    }
    owners = [owner for _, owner in drawn]
    flow = moving = None
    if truth:
        flow = np.stack([flow_between(background, layers, frame, owners[frame]) for frame in range(len(owners) - 1)])
        moving = _moving(background, layers, owners)
    cells = _cell_motion(background, layers, owners) if cell_motion else None
    return MotionSample(frames, label, _speed(plan, height, width), facts, flow, moving, cells)


def camera_drifts(seed: int, split: str, index: int, config: MotionConfig | None = None) -> bool:
    """Whether the camera of a sample moves steadily, shaking apart; nothing is drawn to tell."""
    plan, _ = _plan(seed, split, index, config or MotionConfig())
    return bool(np.any(plan.camera.velocity)) or plan.camera.zoom_rate != 0


def _plan(seed: int, split: str, index: int, config: MotionConfig) -> tuple[Plan, np.random.Generator]:
    """The paths of a sample, and the generator that draws the rest of it."""
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 2])
    label = LABELS[label_of(seed, split, index)]
    shape = config.num_frames, config.height, config.width
    return make_plan(rng, label, *shape, config.difficulty, config.between), rng


def _cell_motion(background: Layer, layers: list[Layer], owners: list[NDArray[np.int8]]) -> NDArray[np.float32]:
    height, width = owners[0].shape
    rows, columns = np.mgrid[SMALL_CELL // 2 : height : SMALL_CELL, SMALL_CELL // 2 : width : SMALL_CELL]
    centres = np.stack([columns, rows], axis=-1) - 0.5
    middles = range(FEATURE_STEP // 2, len(owners), FEATURE_STEP)
    motion = np.zeros((len(middles), *centres.shape))
    for number, (frame, later) in enumerate(pairwise(middles)):
        moved = displacement(background, layers, frame, later, centres, owners[frame][rows, columns])
        there = centres + moved
        inside = (there >= -0.5) & (there <= np.array([width, height]) - 0.5)
        motion[number] = np.where(inside.all(axis=-1, keepdims=True), moved, np.nan)
    return motion.astype(np.float32)


def _moving(background: Layer, layers: list[Layer], owners: list[NDArray[np.int8]]) -> NDArray[np.bool_]:
    owner = np.stack(owners)
    if background.moves:
        return np.ones(owner.shape, bool)
    movers = [index for index, layer in enumerate(layers) if layer.moves]
    return np.isin(owner, movers)


def _speed(plan: Plan, height: int, width: int) -> float:
    """Mean length on the screen of the motion of points spread over what moves, from feature frame to feature frame.

    A drift of the camera counts, its shake does not.
    """
    if plan.label == "still":
        return 0.0
    steady = np.arange(0, len(plan.times) - FEATURE_STEP, FEATURE_STEP, dtype=np.float64)
    if len(steady) == 0:
        steady = np.zeros(1)
    axis = np.linspace(-0.4, 0.4, 5)
    grid = np.stack([*(v.ravel() for v in np.meshgrid(axis, axis)), np.ones(25)])
    first, second = (plan.camera.view(steady + step, shaken=False) for step in (0, FEATURE_STEP))
    if plan.thing is not None:
        points = np.diag([plan.size * min(height, width)] * 2 + [1.0]) @ grid
        now, then = first @ plan.thing.place(steady) @ points, second @ plan.thing.place(steady + FEATURE_STEP) @ points
    else:
        points = np.diag([width, height, 1.0]) @ grid + np.array([[width / 2], [height / 2], [0]])
        now, then = np.broadcast_to(points, (len(steady), 3, 25)), second @ np.linalg.inv(first) @ points
    return float(np.hypot(*np.moveaxis(then - now, 1, 0)[:2]).mean() / CELL)
