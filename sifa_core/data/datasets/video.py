"""Videos from files as training and evaluation samples: random windows and crops, or clips x crops.

T frames, V views. A file that cannot be read gives an item without clips that names it; nothing takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from sifa_core.data.datasets.base import DatasetError, Item
from sifa_core.data.datasets.formats import READERS, Entry, read_names
from sifa_core.data.decode import read_frames
from sifa_core.data.limits import DATASET_LIMITS
from sifa_core.data.sampling import Window, random_segments, random_window, uniform_clips
from sifa_core.data.transforms import center_crop, random_flip, random_resize_crop, resize_short_side, three_crops
from sifa_core.errors import BrokenVideoError, ClipError, ConfigError

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """What is taken from a video."""

    num_frames: int = 16
    """T."""
    stride: int = 4
    """Source frames from one frame of a clip to the next; unused for segments."""
    crop: int = 224
    """Side of the square views."""
    short_sides: tuple[int, ...] = ()
    """Least and largest short side before a random crop; empty for the paper's, in proportion to `crop`."""
    flip: bool = True
    """Mirror half of the training clips."""
    training: bool = True
    """Random window and crop, or `clips` x `crops` fixed ones."""
    clips: int = 1
    """Evaluation: clips spread evenly over the video."""
    crops: int = 1
    """Evaluation: 1 (centre) or 3 (left, middle, right, or top to bottom)."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        if self.crops not in (1, 3):
            raise ConfigError(f"crops={self.crops} is not possible; it is 1 or 3.")
        if self.clips < 1:
            raise ConfigError(f"clips={self.clips} is not possible; it is at least 1.")

    @property
    def short_side_range(self) -> tuple[int, int]:
        """`short_sides`, or the paper's (section 4.1): 256 to 340 for a crop of 224."""
        low, high = self.short_sides or (round(self.crop * side / 224) for side in (256, 340))
        return low, high


class VideoDataset:
    """Labelled videos.

    Args:
        entries: files (or folders of frames) and classes.
        labels: class names.
        view: what is taken from each.
        segments: one frame from each of T equal parts (Something-Something) instead of frames at a stride.
    """

    def __init__(self, entries: Sequence[Entry], labels: tuple[str, ...], view: View, *, segments: bool) -> None:
        self.entries, self.labels, self.view, self.segments = list(entries), labels, view, segments

    @property
    def views(self) -> int:
        """V of every sample: 1 in training, clips x crops otherwise."""
        return 1 if self.view.training else self.view.clips * self.view.crops

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        index, position = key
        entry, rng = self.entries[index], np.random.default_rng([self.view.seed, position])
        try:
            frames = self._frames(entry.path, rng)
        except ClipError as error:
            return Item(None, failure=f"{entry.path}: {error}")
        return Item(self._views(frames, rng), entry.label)

    def _frames(self, path: Path, rng: np.random.Generator) -> Frames:
        """All wanted frames, clip after clip."""

        def choose(timestamps: NDArray[np.float64]) -> Window:
            return Window(self._indices(timestamps, rng), 1)

        if path.is_dir():
            return read_frame_folder(path, lambda count: self._indices(np.arange(count) / 12, rng))
        largest = self.view.short_side_range[1] if self.view.training else self.view.crop
        return read_frames(path, choose, max_short_side=largest, limits=DATASET_LIMITS).frames

    def _indices(self, timestamps: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        view = self.view
        if self.segments:
            count = len(timestamps)
            if view.training or view.clips == 1:
                return random_segments(count, view.num_frames, rng if view.training else None)
            draws = (np.random.default_rng([view.seed, clip]) for clip in range(view.clips))
            return np.concatenate([random_segments(count, view.num_frames, draw) for draw in draws])
        if view.training:
            return random_window(timestamps, view.num_frames, view.stride, rng)
        return uniform_clips(timestamps, view.num_frames, view.stride, view.clips).ravel()

    def _views(self, frames: Frames, rng: np.random.Generator) -> Frames:
        """[V,T,crop,crop,3]"""
        view = self.view
        if view.training:
            cropped = random_resize_crop(frames, rng, crop=view.crop, short_sides=view.short_side_range)
            return np.ascontiguousarray(random_flip(cropped, rng, enabled=view.flip))[None]
        clips = resize_short_side(frames, view.crop)
        crops = three_crops(clips, view.crop) if view.crops == 3 else [center_crop(clips, view.crop)]
        parts = [crop.reshape(view.clips, view.num_frames, *crop.shape[1:]) for crop in crops]
        return np.concatenate(parts)


def read_frame_folder(path: Path, choose: Callable[[int], NDArray[np.int64]]) -> Frames:
    """Chosen frames of a folder of numbered pictures, uint8 [T,H,W,3]. Raises BrokenVideoError."""
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    except OSError as error:
        raise BrokenVideoError(f"The folder {path.name} cannot be read: {error.strerror}.") from error
    if not files:
        raise BrokenVideoError(f"The folder {path.name} has no picture.")
    wanted = choose(len(files))
    pictures: dict[int, Frames] = {}
    for index in sorted(set(wanted.tolist())):
        picture = _read_picture(files[index])
        if picture is None or (pictures and picture.shape != next(iter(pictures.values())).shape):
            raise BrokenVideoError(f"The picture {files[index].name} in {path.name} is broken or of another size.")
        pictures[index] = np.ascontiguousarray(picture[..., ::-1], np.uint8)
    return np.stack([pictures[index] for index in wanted.tolist()])


def _read_picture(file: Path) -> MatLike | None:
    """BGR [H,W,3]; None for a file that cannot be read, or whose header claims what no memory holds."""
    try:
        data = np.fromfile(file, np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None


def open_dataset(
    kind: str,
    source: str,
    *,
    root: str = "",
    labels: str = "",
    view: View | None = None,
    names: Sequence[str] | None = None,
) -> VideoDataset:
    """A data set in one of the formats "list", "folders", "something_v1", "something_v2".

    Args:
        kind: the format.
        source: its list, JSON file or folder.
        root: folder of the videos; empty for that of a list.
        labels: file of class names; empty to take `names`, or the names that occur in `source`.
        view: what is taken from each video.
        names: class names, for example those of the training split.

    Raises:
        DatasetError: an unreadable or senseless file.
        ConfigError: an unknown format.
    """
    if kind not in READERS:
        raise ConfigError(f"There is no data format {kind!r}; choose one of {', '.join(READERS)}.")
    chosen = read_names(labels) if labels else names
    entries, found = READERS[kind](source, root, chosen)
    if not any(entry.path.exists() for entry in entries):
        raise DatasetError(f"None of the {len(entries)} videos in {source} is there, for example {entries[0].path}.")
    return VideoDataset(entries, found, view or View(), segments=kind.startswith("something"))
