"""`read_clip`: from a video file to a `Clip`, exact to the frame and bounded in time and memory.

N frames of the source, T frames of the clip.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.clip import Clip, ClipSource
from sifa_core.data.colour import unusual_transfer
from sifa_core.data.container import VideoFile, display_name, open_file
from sifa_core.data.limits import Limits
from sifa_core.data.motion_energy import motion_between
from sifa_core.data.sampling import Window, auto_window, is_variable, uniform_clips
from sifa_core.data.scan import Scan, pictures, scan_video
from sifa_core.data.window import read_window
from sifa_core.errors import BrokenVideoError, ClipError, ClipTooShortError

_MOST_FRAMES = 256

Choose = Callable[[NDArray[np.float64]], Window]
"""timestamps [N] in seconds -> the wanted frames."""


def read_clip(
    path: str | os.PathLike[str],
    num_frames: int = 16,
    *,
    start: int | None = None,
    stride: int | Literal["auto"] = "auto",
    max_short_side: int = 720,
    limits: Limits | None = None,
) -> Clip:
    """Read `num_frames` frames of a video.

    start           first frame, as a source frame number; None takes the window that moves most
    stride          source frames from one frame of the clip to the next; "auto" picks it so that motion is visible
    max_short_side  larger pictures are reduced to this many pixels on their short side

    A stride that does not fit is reduced; a video that is still too short has its last frame repeated. Both are told
    in `clip.source.warnings`. Where the frame rate varies, a stride means that many median frame intervals.

    Raises ClipNotFoundError, NotAVideoError, NoVideoStreamError, BrokenVideoError, ClipTooShortError (fewer than two
    frames from `start` on), ClipTooLargeError (a limit is passed) and ClipError (an argument makes no sense).
    """
    limits = limits or Limits()
    _check_number("num_frames", num_frames, 1, _MOST_FRAMES)
    _check_number("max_short_side", max_short_side, 1, None)
    if start is not None:
        _check_number("start", start, 0, None)
    if stride != "auto":
        _check_number("stride", stride, 1, None)
    with open_file(path, limits) as file:
        fixed = start is not None and stride != "auto"
        found = scan_video(file, limits, max_short_side, thumbnails=not fixed)
        timestamps = _checked_timestamps(file, limits, found, start or 0)
        motion = np.zeros(len(timestamps)) if fixed else motion_between(found.thumbnails)
        window = auto_window(timestamps, motion, num_frames, start=start, stride=stride)
        asked_stride = None if stride == "auto" else stride
        frames = pictures(file, limits, found, window.indices)
        return _clip(path, file.sha256, found, timestamps, window, asked_stride, frames)


def read_views(
    path: str | os.PathLike[str],
    num_frames: int = 16,
    views: int = 10,
    *,
    max_short_side: int = 720,
    max_bytes: int | None = None,
    view_short_side: int | None = None,
    limits: Limits | None = None,
) -> tuple[Clip, list[Clip]]:
    """What `read_clip` gives, and clips with its stride that are spread evenly over the whole video, in one reading.

    The former's pictures are reduced further until all its frames take at most `max_bytes`, if that is given; the
    latter's to `view_short_side`. There are fewer than `views` of them where
    the video is too short for them to differ. Raises as `read_clip` does.
    """
    limits = limits or Limits()
    _check_number("num_frames", num_frames, 1, _MOST_FRAMES)
    _check_number("views", views, 1, _MOST_FRAMES)
    _check_number("max_short_side", max_short_side, 1, None)
    with open_file(path, limits) as file:
        found = scan_video(file, limits, max_short_side, thumbnails=True)
        timestamps = _checked_timestamps(file, limits, found, 0)
        window = auto_window(timestamps, motion_between(found.thumbnails), num_frames)
        spread = np.unique(uniform_clips(timestamps, num_frames, window.stride, views), axis=0)
        assert found.show is not None
        side = None if max_bytes is None else found.show.short_side_within(max_bytes // num_frames)
        frames = pictures(file, limits, found, window.indices, side)
        clip = _clip(path, file.sha256, found, timestamps, window, None, frames)
        needed = np.unique(spread)
        frames = pictures(file, limits, found, needed, view_short_side)
        return clip, [
            _clip(
                path,
                file.sha256,
                found,
                timestamps,
                Window(each, window.stride),
                None,
                frames[np.searchsorted(needed, each)],
            )
            for each in spread
        ]


def read_frames(
    path: str | os.PathLike[str],
    choose: Choose,
    *,
    max_short_side: int = 720,
    limits: Limits | None = None,
) -> Clip:
    """Read the frames that a sampler chooses once it knows when each frame is shown; for training and evaluation.

    Where the packets of a file tell when its frames are shown, only what the chosen ones need is decoded; the frames
    are the same as if everything were. The file is not hashed: `clip.sha256` is empty.
    Raises as `read_clip` does.
    """
    limits = limits or Limits()
    _check_number("max_short_side", max_short_side, 1, None)
    choose = _Once(choose)
    with open_file(path, limits) as file:
        quick = read_window(file, limits, choose, max_short_side)
        if quick is not None:
            found, window, frames = quick
            timestamps = np.asarray(found.timestamps, np.float64)
        else:
            found = scan_video(file, limits, max_short_side, thumbnails=False)
            timestamps = _checked_timestamps(file, limits, found, 0)
            assert found.show is not None
            found.show = replace(found.show, in_one_step=True)
            window = choose(timestamps)
            frames = pictures(file, limits, found, window.indices)
        return _clip(path, "", found, timestamps, window, None, frames)


class _Once:
    """A sampler that is asked once for the same times, so that a second reading draws no further random numbers."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._answers: dict[bytes, Window] = {}

    def __call__(self, timestamps: NDArray[np.float64]) -> Window:
        key = timestamps.tobytes()
        if key not in self._answers:
            self._answers[key] = self._choose(timestamps)
        return self._answers[key]


def _checked_timestamps(file: VideoFile, limits: Limits, found: Scan, start: int) -> NDArray[np.float64]:
    count = len(found.timestamps)
    if found.damage.packets and count < 2:
        # The decoder itself refuses pictures over the limit before it takes memory for them, and does not say so.
        or_large = "" if found.size_known else f": damaged, or larger than the limit of {limits.max_pixels:,} pixels"
        raise BrokenVideoError(f"{file.name} is a video, but its pictures cannot be decoded{or_large}.")
    if count - start < 2:
        frames = "1 frame" if count == 1 else f"{count} frames" if count else "no frame"
        from_start = f", too few from frame {start} on" if start and count > 1 else ""
        raise ClipTooShortError(f"{file.name} has {frames}{from_start}; a clip needs at least 2.")
    return np.asarray(found.timestamps, np.float64)


def _clip(
    path: str | os.PathLike[str],
    sha256: str,
    found: Scan,
    timestamps: NDArray[np.float64],
    window: Window,
    asked_stride: int | None,
    frames: NDArray[np.uint8],
) -> Clip:
    assert found.show is not None
    average_interval = float(timestamps[-1] / (len(timestamps) - 1))
    source = ClipSource(
        name=display_name(path),
        sha256=sha256,
        width=found.show.shown_width,
        height=found.show.shown_height,
        fps=1.0 / average_interval,
        duration=float(timestamps[-1]) + (found.last_duration or average_interval),
        num_frames=len(timestamps),
        codec=found.codec,
        rotation=found.show.rotation,
        dynamic_range=found.dynamic_range,
        variable_frame_rate=is_variable(timestamps),
        stride=window.stride,
        warnings=_warnings(found, window, asked_stride),
    )
    return Clip(frames, timestamps[window.indices], window.indices, source)


def _warnings(found: Scan, window: Window, asked_stride: int | None) -> tuple[str, ...]:
    count = len(found.timestamps)
    sentences = []
    # Where two streams were joined, the first packet of the second one always counts as damaged.
    if found.damage.packets > len(found.jumps):
        sentences.append(f"Parts of the file are damaged; {count} frames could be decoded.")
    elif found.stated_frames > count + max(2, count // 10):
        sentences.append(f"The file says that it has {found.stated_frames} frames; {count} could be decoded.")
    sentences += [_jump_sentence(seconds) for seconds in found.jumps]
    if found.interlaced:
        sentences.append("The video is interlaced; its frames were deinterlaced.")
    if found.dynamic_range != "SDR":
        sentences.append(f"The video is {found.dynamic_range}; its colours were tone-mapped to an ordinary screen's.")
    if unusual := unusual_transfer(found.transfer):
        sentences.append(f"The brightness is stored as {unusual}, which is shown as if it were an ordinary video's.")
    if found.size_changes:
        sentences.append("The picture size changes within the file; all frames were brought to the first one's.")
    if asked_stride is not None and window.stride < asked_stride:
        sentences.append(f"The stride was reduced from {asked_stride} to {window.stride} because the video is short.")
    repeats = int(np.count_nonzero(window.indices == count - 1)) - 1
    if repeats > 0:
        sentences.append(f"The video is short: its last frame is repeated {repeats} time{'s' if repeats > 1 else ''}.")
    return tuple(sentences)


def _jump_sentence(seconds: float) -> str:
    return (
        f"The file's clock jumps {'ahead' if seconds > 0 else 'back'} by {abs(seconds):,.0f} s; "
        "what follows was joined to what comes before."
    )


def _check_number(what: str, value: object, least: int, most: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ClipError(f"{what} must be a whole number, not {value!r}.")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ClipError(f"{what} must be {bounds}, not {value}.")
