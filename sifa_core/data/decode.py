"""`read_clip`: from a video file to a `Clip`, exact to the frame and bounded in time and memory.

The file is read in this process, which a file made to do harm can end: for files of strangers see
`sifa_core.data.isolated`. N frames of the source, T frames of the clip.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from sifa_core.data.clip import Clip
from sifa_core.data.container import display_name, open_file
from sifa_core.data.limits import Limits
from sifa_core.data.reading import (
    Choose,
    ClipRequest,
    Course,
    OverviewRequest,
    Reading,
    ViewsRequest,
    check_number,
    read,
    read_chosen,
)


def read_clip(
    path: str | os.PathLike[str],
    num_frames: int = 16,
    *,
    start: int | None = None,
    stride: int | Literal["auto"] = "auto",
    max_short_side: int = 720,
    known_frames: int | None = None,
    limits: Limits | None = None,
) -> Clip:
    """Read `num_frames` frames of a video.

    start           first frame, as a source frame number; None takes the window that moves most
    stride          source frames from one frame of the clip to the next; "auto" picks it so that motion is visible
    max_short_side  larger pictures are reduced to this many pixels on their short side
    known_frames    frames of the video as an earlier reading has found them (`clip.source.num_frames`): with it, and
                    with start and stride given, only what the clip needs is decoded where the file allows that

    A stride that does not fit is reduced; a video that is still too short has its last frame repeated. Both are told
    in `clip.source.warnings`. Where the frame rate varies, a stride means that many median frame intervals.

    Raises ClipNotFoundError, NotAVideoError, NoVideoStreamError, BrokenVideoError, ClipTooShortError (fewer than two
    frames from `start` on), ClipTooLargeError (a limit is passed) and ClipError (an argument makes no sense).
    """
    limits = limits or Limits()
    request = ClipRequest(num_frames, start, stride, max_short_side, known_frames)
    with open_file(path, limits) as file:
        (reading,) = read(file, limits, request)
        return reading.clip(display_name(path), file.sha256)


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
    reading = read_video(
        path,
        num_frames,
        views,
        max_short_side=max_short_side,
        max_bytes=max_bytes,
        view_short_side=view_short_side,
        limits=limits,
    )
    return reading.clip, list(reading.views)


@dataclass(frozen=True, eq=False)
class VideoReading:
    """A clip, and what was found out about its video on the way."""

    clip: Clip
    views: tuple[Clip, ...]
    """Clips spread evenly over the video; their pictures share memory."""
    course: Course
    """Times and movement of all frames."""

    @classmethod
    def of(cls, name: str, sha256: str, readings: list[Reading]) -> VideoReading:
        """From what was read of the file with this display name and hash."""
        course = readings[0].course
        assert course is not None
        clip, *views = (reading.clip(name, sha256) for reading in readings)
        return cls(clip, tuple(views), course)


def read_video(
    path: str | os.PathLike[str],
    num_frames: int = 16,
    views: int = 10,
    *,
    max_short_side: int = 720,
    max_bytes: int | None = None,
    view_short_side: int | None = None,
    limits: Limits | None = None,
) -> VideoReading:
    """`read_views`, with the movement of the whole video that the clip was chosen by. Raises as `read_clip` does."""
    limits = limits or Limits()
    request = ViewsRequest(num_frames, views, max_short_side, max_bytes, view_short_side)
    with open_file(path, limits) as file:
        return VideoReading.of(display_name(path), file.sha256, read(file, limits, request))


def read_overview(
    path: str | os.PathLike[str],
    num_frames: int = 16,
    windows: int = 20,
    stride: int = 1,
    *,
    thumbnails: int = 24,
    max_short_side: int = 256,
    known_frames: int | None = None,
    limits: Limits | None = None,
) -> tuple[Clip, list[Clip]]:
    """`thumbnails` frames from the first to the last one of a video, as a clip, and `windows` clips of `num_frames`
    frames, `stride` apart, that are spread evenly over it, in one reading.

    There are fewer where the video is too short for them to differ, and the stride shrinks where no clip would fit.
    `known_frames` and what is raised as in `read_clip`.
    """
    limits = limits or Limits()
    request = OverviewRequest(num_frames, windows, stride, thumbnails, max_short_side, known_frames)
    with open_file(path, limits) as file:
        first, *spread = (reading.clip(display_name(path), file.sha256) for reading in read(file, limits, request))
        return first, spread


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
    check_number("max_short_side", max_short_side, 1)
    with open_file(path, limits) as file:
        return read_chosen(file, limits, choose, max_short_side).clip(display_name(path), "")
