"""Which frames of a video make a clip: pure functions of time stamps, movement and an explicit generator.

N source frames, T frames of a clip. A stride is a number of source frames. Where the frame rate varies it stands for
that many usual (median) frame intervals, and the frame nearest to each moment is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Times = NDArray[np.float64]


@dataclass(frozen=True)
class AutoStride:
    """What "auto" looks for. Distances are fractions of the picture's short side."""

    step: float = 0.02
    """Wanted movement from one frame of the clip to the next: 0.08 between two feature frames of a model that
    merges four frames, which can be seen, and which is far below the quarter of the frame that offsets can follow."""
    min_span: float = 0.5
    """Seconds from the first to the last frame of a clip, at least (where the video is that long)."""
    max_span: float = 2.5
    """Seconds from the first to the last frame of a clip, at most (stride 1 is always allowed)."""


@dataclass(frozen=True)
class Window:
    """The chosen frames of a clip."""

    indices: Indices
    """[T] source frame numbers; the last is repeated where the video is too short."""
    stride: int
    """Source frames from one to the next."""


def frame_interval(timestamps: Times) -> float:
    """Usual seconds from frame to frame; 1/30 where the time stamps tell nothing.

    The mean evens out rounded time stamps; the median of a variable rate is not led astray by gaps.
    """
    if len(timestamps) < 2 or timestamps[-1] <= timestamps[0]:
        return 1.0 / 30.0
    intervals = np.diff(timestamps)
    return float(np.median(intervals) if is_variable(timestamps) else intervals.mean())


def is_variable(timestamps: Times) -> bool:
    """Whether any interval is more than a fifth off the median one.

    Two milliseconds are forgiven: several containers round time stamps to whole milliseconds.
    """
    if len(timestamps) < 3:
        return False
    intervals = np.diff(timestamps)
    median = float(np.median(intervals))
    return bool(np.any(np.abs(intervals - median) > 0.2 * median + 0.002))


def window_indices(timestamps: Times, start: int, stride: int, num_frames: int) -> Indices:
    """[T] frames from `start` on, `stride` apart, by number where the rate is constant and by time where it varies.

    Past the end the last frame is repeated.
    """
    last = len(timestamps) - 1
    if is_variable(timestamps):
        moments = timestamps[start] + np.arange(num_frames) * stride * frame_interval(timestamps)
        return _nearest(timestamps, moments)
    return np.minimum(start + np.arange(num_frames) * stride, last).astype(np.int64)


def fitting_stride(timestamps: Times, start: int, stride: int, num_frames: int) -> int:
    """The largest stride up to `stride` whose window from `start` ends within the video; at least 1."""
    if num_frames < 2:
        return stride
    available = timestamps[-1] - timestamps[start]
    # Half an interval is allowed for: the nearest frame is still the last one then.
    frames = (
        int(available / frame_interval(timestamps) + 0.5) if is_variable(timestamps) else len(timestamps) - 1 - start
    )
    return max(1, min(stride, frames // (num_frames - 1)))


def auto_window(
    timestamps: Times,
    motion: Times,
    num_frames: int,
    *,
    start: int | None = None,
    stride: int | Literal["auto"] = "auto",
    wanted: AutoStride | None = None,
) -> Window:
    """Choose what the caller left open: `start`, `stride`, or both.

    `motion` [N]: movement from frame i-1 to i as a fraction of the short side (entry 0 is 0); NaN marks a cut. For each
    stride that fits, the window that moves most is found, if possible without a cut; then the stride is taken whose
    movement per step is nearest, as a ratio, to the wanted one. A video in which nothing moves gets the widest window
    in its middle.
    Raises ValueError for arguments that make no sense.
    """
    count = len(timestamps)
    if count == 0 or len(motion) != count or num_frames < 1:
        raise ValueError("timestamps and motion need the same positive length, num_frames at least 1")
    if start is not None and not 0 <= start < count:
        raise ValueError(f"start must be within 0 and {count - 1}")
    wanted = wanted or AutoStride()
    if stride == "auto":
        strides = _candidate_strides(timestamps, num_frames, start or 0, wanted)
    else:
        strides = [fitting_stride(timestamps, start or 0, stride, num_frames)]
    best: tuple[float, int, int] | None = None
    for candidate in strides:
        first, step = _most_moving(timestamps, motion, num_frames, candidate, start)
        # Ratios count: half the wanted movement is as far off as twice.
        misfit = abs(np.log(max(step, 1e-6) / wanted.step))
        if best is None or misfit < best[0] or (misfit == best[0] and candidate > best[2]):
            best = (misfit, first, candidate)
    assert best is not None
    _, first, chosen = best
    return Window(window_indices(timestamps, first, chosen, num_frames), chosen)


def uniform_clips(timestamps: Times, num_frames: int, stride: int, num_clips: int) -> Indices:
    """[num_clips, T] indices of clips spread evenly over the video, first and last frame included, for evaluation.

    One clip is the middle one. The stride shrinks where a clip would not fit.
    """
    if num_clips < 1:
        raise ValueError("num_clips must be at least 1")
    stride = fitting_stride(timestamps, 0, stride, num_frames)
    last_start = _last_start(timestamps, num_frames, stride)
    fractions = [0.5] if num_clips == 1 else np.linspace(0.0, 1.0, num_clips)
    return np.stack(
        [window_indices(timestamps, round(fraction * last_start), stride, num_frames) for fraction in fractions]
    )


def random_window(timestamps: Times, num_frames: int, stride: int, generator: np.random.Generator) -> Indices:
    """[T] indices of a clip that starts anywhere it fits, for training. The stride shrinks where it does not fit."""
    stride = fitting_stride(timestamps, 0, stride, num_frames)
    start = int(generator.integers(_last_start(timestamps, num_frames, stride) + 1))
    return window_indices(timestamps, start, stride, num_frames)


def random_segments(count: int, num_frames: int, generator: np.random.Generator | None = None) -> Indices:
    """[T] indices, one from each of T equal parts of `count` frames: random with a generator, else the middle one.

    The sampling of Something-Something, where the whole action counts.
    """
    if count < 1 or num_frames < 1:
        raise ValueError("count and num_frames must be at least 1")
    edges = np.arange(num_frames) * count / num_frames
    fraction = np.full(num_frames, 0.5) if generator is None else generator.random(num_frames)
    return np.minimum((edges + fraction * count / num_frames).astype(np.int64), count - 1)


def _nearest(timestamps: Times, moments: Times) -> Indices:
    right = np.clip(np.searchsorted(timestamps, moments), 1, len(timestamps) - 1)
    closer_left = moments - timestamps[right - 1] <= timestamps[right] - moments
    return (right - closer_left).astype(np.int64)


def _last_start(timestamps: Times, num_frames: int, stride: int) -> int:
    """The last start whose window does not pass the end."""
    if not is_variable(timestamps):
        return max(0, len(timestamps) - 1 - (num_frames - 1) * stride)
    interval = frame_interval(timestamps)
    latest = timestamps[-1] + 0.5 * interval - (num_frames - 1) * stride * interval
    return max(0, int(np.searchsorted(timestamps, latest, side="right")) - 1)


def _candidate_strides(timestamps: Times, num_frames: int, start: int, wanted: AutoStride) -> list[int]:
    per_step = max(1, num_frames - 1) * frame_interval(timestamps)
    low = max(1, round(wanted.min_span / per_step))
    high = max(low, int(wanted.max_span / per_step))
    fits = fitting_stride(timestamps, start, high, num_frames)
    return list(range(min(low, fits), fits + 1))


def _most_moving(
    timestamps: Times, motion: Times, num_frames: int, stride: int, start: int | None
) -> tuple[int, float]:
    """The start whose window moves most, if possible without a cut, and its mean movement per step of the clip."""
    starts = np.arange(_last_start(timestamps, num_frames, stride) + 1) if start is None else np.array([start])
    if is_variable(timestamps):
        moments = timestamps[starts] + (num_frames - 1) * stride * frame_interval(timestamps)
        ends = _nearest(timestamps, moments)
    else:
        ends = np.minimum(starts + (num_frames - 1) * stride, len(timestamps) - 1)
    path = np.cumsum(np.nan_to_num(motion))
    cuts = np.cumsum(np.isnan(motion))
    moved = (path[ends] - path[starts]) / max(1, num_frames - 1)
    uncut = (cuts[ends] - cuts[starts]) == 0
    # A window across a cut shows two scenes, yet it is better than one in which hardly anything happens.
    if uncut.any() and moved[uncut].max() >= 0.25 * moved.max():
        moved = np.where(uncut, moved, -1.0)
    ties = np.flatnonzero(moved >= moved.max() - 1e-9)
    chosen = ties[len(ties) // 2]
    return int(starts[chosen]), float(max(0.0, moved[chosen]))
