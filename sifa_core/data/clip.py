"""`Clip`: the frames that were taken from a video, when they were shown, and where they came from.

T frames, H height, W width.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.frame_order import frozen_order, held_order, reversed_order, shuffled_order
from sifa_core.errors import ClipError, ClipTooShortError


@dataclass(frozen=True)
class ClipSource:
    """Facts about the video that a clip was taken from."""

    name: str
    """File name without its folder, for display. It is untrusted text: show it as text only."""
    sha256: str
    """Hex digest of the file's bytes; of the frames' bytes for clips made from arrays and for controls;
    empty for what training reads (`read_frames`), where nobody asks for it."""
    width: int
    """Pixels as shown: after rotation and pixel-shape correction, before any reduction."""
    height: int
    fps: float
    """Average frames per second."""
    duration: float
    """Seconds, the last frame's own time included."""
    num_frames: int | None = None
    """Frames that could be decoded; None when unknown."""
    codec: str = ""
    rotation: int = 0
    """Degrees clockwise by which the stored picture was turned to show it: 0, 90, 180 or 270."""
    dynamic_range: str = "SDR"
    """Of the stored video: "SDR", "HDR (PQ)" or "HDR (HLG)". Frames are always SDR."""
    variable_frame_rate: bool = False
    stride: int = 1
    """Source frames (of usual length) from one frame of the clip to the next."""
    warnings: tuple[str, ...] = ()
    """One sentence for each thing that is not as the file or the caller said."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a video, ready for a model or a viewer. The arrays are read-only."""

    frames: NDArray[np.uint8]
    """[T, H, W, 3], RGB."""
    timestamps: NDArray[np.float64]
    """[T] seconds since the first frame of the source."""
    indices: NDArray[np.int64]
    """[T] source frame numbers, from 0."""
    source: ClipSource

    def __post_init__(self) -> None:
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            shape = tuple(getattr(frames, "shape", ()))
            raise ClipError(f"Frames of a clip must be an array of shape [T, H, W, 3], not {shape}.")
        if frames.dtype != np.uint8:
            raise ClipError(f"Frames of a clip must be uint8, not {frames.dtype}.")
        for field, values in (("timestamps", self.timestamps), ("indices", self.indices)):
            if np.shape(values) != (len(frames),):
                raise ClipError(f"A clip of {len(frames)} frames needs as many {field}, not {np.shape(values)}.")
        object.__setattr__(self, "frames", _read_only(frames, np.uint8))
        object.__setattr__(self, "timestamps", _read_only(self.timestamps, np.float64))
        object.__setattr__(self, "indices", _read_only(self.indices, np.int64))

    @classmethod
    def from_array(cls, frames: NDArray[np.uint8], *, fps: float = 30.0, name: str = "array") -> Clip:
        """A clip made of all `frames`, uint8 [T, H, W, 3] RGB, T >= 2, shown at `fps` frames per second.

        Raises ClipError for another shape, type or frame rate, ClipTooShortError below two frames.
        """
        if not np.isfinite(fps) or fps <= 0:
            raise ClipError(f"fps must be a positive number, not {fps!r}.")
        count = len(frames) if np.ndim(frames) else 0
        if np.ndim(frames) == 4 and count < 2:
            raise ClipTooShortError(f"{name} has {count} frame(s); a clip needs at least 2.")
        height, width = np.shape(frames)[1:3] if np.ndim(frames) == 4 else (0, 0)
        source = ClipSource(
            name=name,
            sha256=_digest(frames),
            width=width,
            height=height,
            fps=float(fps),
            duration=count / float(fps),
            num_frames=count,
        )
        return cls(frames, np.arange(count) / float(fps), np.arange(count), source)

    @property
    def num_frames(self) -> int:
        return int(self.frames.shape[0])

    @property
    def height(self) -> int:
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        return int(self.frames.shape[2])

    @property
    def sha256(self) -> str:
        return self.source.sha256

    def frozen(self, frame: int | None = None) -> Clip:
        """Control without motion: one frame (the middle one by default) shown all the time.

        Raises ClipError when the clip has no such frame.
        """
        chosen = self.num_frames // 2 if frame is None else frame
        if not 0 <= chosen < self.num_frames:
            raise ClipError(f"{self.source.name} has frames 0 to {self.num_frames - 1}, not {chosen}.")
        return self._reordered(frozen_order(self.num_frames, chosen), "frozen")

    def reversed(self) -> Clip:
        """Control with motion backwards."""
        return self._reordered(reversed_order(self.num_frames), "reversed")

    def shuffled(self, seed: int = 0) -> Clip:
        """Control with the same pictures in a random order, never the original one."""
        return self._reordered(shuffled_order(self.num_frames, np.random.default_rng(seed)), "shuffled")

    def held(self, count: int) -> Clip:
        """Control in which every run of `count` frames shows its middle one. Raises ClipError for a count below 1."""
        if count < 1:
            raise ClipError(f"Frames are held for 1 or more, not for {count}.")
        return self._reordered(held_order(self.num_frames, count), "held")

    def _reordered(self, order: NDArray[np.int64], what: str) -> Clip:
        # The times of showing stay; which source frame is shown at each of them changes. The digest becomes that of
        # the new frames, so that nothing cached for the original is ever taken for the control.
        frames = self.frames[order]
        source = replace(self.source, name=f"{self.source.name} ({what})", sha256=_digest(frames))
        return Clip(frames, self.timestamps, self.indices[order], source)


def _read_only(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    # A view, so that an array which the caller still owns stays writable for the caller.
    view: NDArray[Any] = np.ascontiguousarray(values, dtype=dtype).view()
    view.flags.writeable = False
    return view


def _digest(frames: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(frames).tobytes()).hexdigest()
