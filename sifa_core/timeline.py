"""What a model makes of a whole video, moment by moment; no explanation in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from sifa_core import data
from sifa_core.data import Clip
from sifa_core.data.reading import Course
from sifa_core.inference import check_finite, prepare
from sifa_core.models import VideoModel

if TYPE_CHECKING:
    from sifa_core.data.isolated import Readers

WINDOWS_PER_SECOND = 1.0
FEWEST_WINDOWS, MOST_WINDOWS = 8, 24


@dataclass(frozen=True, eq=False)
class Moment:
    """What the model makes of one window of a video."""

    start: int
    """The first frame of the window, as a source frame number."""
    stride: int
    seconds: tuple[float, float]
    """When its first and its last frame are shown."""
    probabilities: NDArray[np.float32]
    """[classes]"""


@dataclass(frozen=True, eq=False)
class Timeline:
    """A whole video: how it moves, and what the model makes of it."""

    labels: tuple[str, ...]
    course: Course
    moments: tuple[Moment, ...]
    """In the order of their starts."""

    def best(self, count: int) -> list[int]:
        """Class numbers of the `count` classes that are most probable at some moment, that of the mean first."""
        probabilities = np.stack([moment.probabilities for moment in self.moments])
        order = np.lexsort((-probabilities.mean(0), -probabilities.max(0)))
        first = int(probabilities.mean(0).argmax())
        return [first, *(int(number) for number in order if number != first)][:count]

    @property
    def cuts(self) -> list[float]:
        """Seconds at which another scene begins."""
        return [float(second) for second in self.course.timestamps[np.isnan(self.course.motion)]]

    def to_dict(self, best: int = 5, is_trained: bool = True) -> dict[str, Any]:
        """Plain values for JSON: movement of all frames, cuts, and the moments with their `best` classes; none for an
        untrained model, whose probabilities mean nothing."""
        return {
            "seconds": [round(float(second), 4) for second in self.course.timestamps],
            "motion": [None if np.isnan(each) else round(float(each), 5) for each in self.course.motion],
            "cuts": self.cuts,
            "moments": [
                {
                    "start": moment.start,
                    "stride": moment.stride,
                    "seconds": [round(second, 4) for second in moment.seconds],
                    "predictions": _best(moment, self.labels, best) if is_trained else None,
                }
                for moment in self.moments
            ],
        }


def _best(moment: Moment, labels: tuple[str, ...], count: int) -> list[dict[str, Any]]:
    order = np.argsort(-moment.probabilities, kind="stable")[:count]
    return [{"label": labels[number], "probability": float(moment.probabilities[number])} for number in order]


def number_of_windows(duration: float) -> int:
    """How many windows a video of so many seconds is looked at in."""
    return int(np.clip(round(duration * WINDOWS_PER_SECOND), FEWEST_WINDOWS, MOST_WINDOWS))


def moments(model: VideoModel, windows: Iterable[Clip]) -> Iterator[Moment]:
    """What the model makes of each window of one video, one forward each. Raises NotFiniteError."""
    model.eval()
    for clip in windows:
        with torch.inference_mode():
            probabilities = model(prepare(model, clip))[0].float().cpu().softmax(0)
        check_finite(probabilities, model.info, clip)
        first, last = float(clip.timestamps[0]), float(clip.timestamps[-1])
        yield Moment(int(clip.indices[0]), clip.source.stride, (first, last), probabilities.numpy())


def video_timeline(
    model: VideoModel,
    path: str | Path,
    windows: int | None = None,
    *,
    stride: int | None = None,
    readers: Readers | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Timeline:
    """Look at a video in `windows` windows spread evenly over it.

    Args:
        windows: how many; None takes one a second, 8 to 24. There are fewer where the video is too short for them.
        stride: source frames from one to the next of a window; None takes the one at which things move visibly.
        readers: who reads the file; None reads it in this process.
        progress: told how many windows are done, and how many there are.

    Raises as `read_clip` does, and NotFiniteError.
    """
    info = model.info
    side = 2 * info.input_size
    reader = data if readers is None else readers
    whole = reader.read_video(path, info.num_frames, 1, max_short_side=side)
    source = whole.clip.source
    _, spread = reader.read_overview(
        path,
        info.num_frames,
        number_of_windows(source.duration) if windows is None else windows,
        source.stride if stride is None else stride,
        thumbnails=1,
        max_short_side=side,
        known_frames=source.num_frames,
    )
    found: list[Moment] = []
    for moment in moments(model, spread):
        found.append(moment)
        if progress is not None:
            progress(len(found), len(spread))
    return Timeline(tuple(info.labels), whole.course, tuple(found))
