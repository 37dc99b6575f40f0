"""Videos from files as training and evaluation samples: random windows and crops, or clips x crops.

T frames, V views. A file that cannot be read gives an item without clips that names it; nothing takes its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.augmentation import Augmentation, augment
from sifa_core.data.datasets.base import DatasetError, Item
from sifa_core.data.datasets.formats import READERS, Listing
from sifa_core.data.datasets.frame_folder import read_frame_folder, template_pattern
from sifa_core.data.datasets.names import checked_names, read_names
from sifa_core.data.decode import read_frames
from sifa_core.data.limits import DATASET_LIMITS
from sifa_core.data.sampling import Window, random_segments, random_window, uniform_clips
from sifa_core.data.transforms import (
    center_crop,
    random_flip,
    random_resize_crop,
    random_resized_crop,
    resize_short_side,
    three_crops,
)
from sifa_core.errors import ClipError, ConfigError

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
    """Mirror half of the training clips; false where a label names a direction, which then stays what it is."""
    training: bool = True
    """Random window and crop, or `clips` x `crops` fixed ones."""
    clips: int = 1
    """Evaluation: clips spread evenly over the video."""
    crops: int = 1
    """Evaluation: 1 (centre) or 3 (left, middle, right, or top to bottom)."""
    seed: int = 0
    """Of everything random."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What else is done to training clips."""

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
        listing: files (or folders of frames) and classes.
        view: what is taken from each.
        segments: one frame from each of T equal parts (Something-Something) instead of frames at a stride.
        frames: how the pictures in folders of frames are named, e.g. "img_{:05d}.jpg"; empty to find out.
    """

    def __init__(self, listing: Listing, view: View, *, segments: bool, frames: str = "") -> None:
        self.listing, self.view, self.segments, self.frames = listing, view, segments, frames
        self.entries, self.labels = listing.entries, listing.labels

    @property
    def table(self) -> str:
        """Classes, how many videos each has, its first and last one, and what was left out."""
        return self.listing.table()

    @property
    def identity(self) -> str:
        """A digest of the classes and of every video's name and class, in order."""
        content = [self.labels, [(entry.path.name, entry.label) for entry in self.entries]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def views(self) -> int:
        """V of every sample: 1 in training, clips x crops otherwise."""
        return 1 if self.view.training else self.view.clips * self.view.crops

    @property
    def sample_bytes(self) -> int:
        """What the clips of one sample take."""
        return self.views * self.view.num_frames * self.view.crop**2 * 3

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        index, position = key
        entry, rng = self.entries[index], np.random.default_rng([self.view.seed, position])
        try:
            frames = self._frames(entry.path, rng)
        except ClipError as error:
            return Item(None, failure=f"{entry.path}: {error}")
        return Item(self._views(frames, rng), entry.label, name=str(entry.path))

    def _frames(self, path: Path, rng: np.random.Generator) -> Frames:
        """All wanted frames, clip after clip."""

        def choose(timestamps: NDArray[np.float64]) -> Window:
            return Window(self._indices(timestamps, rng), 1)

        largest = self.view.short_side_range[1] if self.view.training else self.view.crop
        if path.is_dir():
            return read_frame_folder(
                path, lambda count: self._indices(np.arange(count) / 12, rng), self.frames, max_short_side=largest
            )
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
        """[V, T, crop, crop, 3]"""
        view = self.view
        if view.training:
            settings, crop = view.augmentation, view.crop
            if settings.crop == "resized":
                frames = random_resized_crop(frames, rng, crop=crop, area=settings.area, aspect=settings.aspect)
            else:
                frames = random_resize_crop(frames, rng, crop=crop, short_sides=view.short_side_range)
            frames = augment(frames, rng, settings, keep_directions=not view.flip)
            return np.ascontiguousarray(random_flip(frames, rng, enabled=view.flip))[None]
        clips = resize_short_side(frames, view.crop)
        crops = three_crops(clips, view.crop) if view.crops == 3 else [center_crop(clips, view.crop)]
        parts = [crop.reshape(view.clips, view.num_frames, *crop.shape[1:]) for crop in crops]
        return np.concatenate(parts)


def open_dataset(
    kind: str,
    source: str,
    *,
    root: str = "",
    labels: str = "",
    view: View | None = None,
    names: Sequence[str] | None = None,
    frames: str = "",
) -> VideoDataset:
    """A data set in one of the formats "list", "folders", "something_v1", "something_v2".

    Args:
        kind: the format.
        source: its list, JSON file or folder.
        root: folder of the videos; empty for that of a list.
        labels: file of class names; empty to take `names`, or the names that occur in `source`.
        view: what is taken from each video.
        names: class names, for example those of the training split.
        frames: how the pictures in folders of frames are named, e.g. "img_{:05d}.jpg"; empty to find out.

    Raises:
        DatasetError: an unreadable or senseless file.
        ConfigError: an unknown format.
    """
    if kind not in READERS:
        raise ConfigError(f"There is no data format {kind!r}; choose one of {', '.join(READERS)}.")
    if frames:
        template_pattern(frames)
    known = read_names(labels) if labels else None
    if known is None and names is not None:
        known = checked_names(names, 0, (), "The given list of class names")
    listing = READERS[kind](source, root, known)
    there = next((entry for entry in listing.entries if entry.path.exists()), None)
    if there is None:
        raise DatasetError(
            f"None of the {len(listing.entries)} videos in {source} is there, for example {listing.entries[0].path}."
        )
    return VideoDataset(listing, view or View(), segments=kind.startswith("something"), frames=frames)
