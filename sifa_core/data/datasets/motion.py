"""motion15 as a data set: clips are drawn when they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sifa_core.data.datasets.base import Item
from sifa_core.data.frame_order import frozen_order, shuffled_order
from sifa_core.data.motion15 import LABELS, MotionConfig, render
from sifa_core.errors import ConfigError

CONTROLS = ("none", "shuffled", "frozen", "between")
"""What may be done to clips to see what a network relies on: frames in random order, one frame all the time, or all
motion between feature frames (`MotionConfig.between`)."""


class MotionDataset:
    """Clips of motion15, drawn on the fly.

    Args:
        split: "train", "val" or "test".
        size: samples in an epoch.
        config: size and difficulty of the clips.
        seed: of the set.
        shapes: (height, width) pairs; each group of consecutive positions has one of them, drawn at random. Empty for
            the config's own shape always. Wide clips teach the network frames as cameras deliver them.
        group: positions that share a shape, the global batch size.
        fresh: draw a new clip for every position of the stream instead of repeating `size` clips in every epoch.
        skip: clips of the split to leave out at the beginning, for a fresh stream.
        ramp: positions over which the difficulty rises from a third to the config's; 0 for none.
        between: positions at the beginning in which all motion falls between feature frames.
        control: one of CONTROLS; takes the order of the frames away, or all motion, or all that lies within a feature
            frame.
        with_motion: samples also tell how their cells truly move.
    """

    labels: tuple[str, ...] = LABELS
    views = 1
    table = identity = ""

    def __init__(
        self,
        split: str,
        size: int,
        config: MotionConfig | None = None,
        *,
        seed: int = 0,
        shapes: tuple[tuple[int, int], ...] = (),
        group: int = 1,
        fresh: bool = False,
        skip: int = 0,
        ramp: int = 0,
        between: int = 0,
        control: str = "none",
        with_motion: bool = False,
    ) -> None:
        if control not in CONTROLS:
            raise ConfigError(f"There is no control {control!r}; choose one of {', '.join(CONTROLS)}.")
        self.split, self.size, self.seed = split, size, seed
        self.config = config or MotionConfig()
        if control == "between":
            self.config = replace(self.config, between=1.0)
        self.shapes, self.group, self.fresh, self.ramp, self.control = shapes, group, fresh, ramp, control
        self.between, self.skip, self.with_motion = between, skip, with_motion

    @property
    def sample_bytes(self) -> int:
        """What the largest clip takes."""
        shapes = self.shapes or ((self.config.height, self.config.width),)
        return self.config.num_frames * max(height * width for height, width in shapes) * 3

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: tuple[int, int]) -> Item:
        index, position = key
        config = self.config
        if self.shapes:
            shape = np.random.default_rng([self.seed, 3, position // self.group]).integers(len(self.shapes))
            config = replace(config, height=self.shapes[shape][0], width=self.shapes[shape][1])
        if self.ramp > 0 and position < self.ramp:
            config = replace(config, difficulty=config.difficulty * (1 + 2 * position / self.ramp) / 3)
        if position < self.between:
            config = replace(config, between=1.0)
        number = self.skip + position if self.fresh else index
        sample = render(self.seed, self.split, number, config, cell_motion=self.with_motion)
        clips, name = self._ordered(sample.frames, index)[None], f"{self.split} clip {number}"
        return Item(clips, sample.label, sample.speed, sample.cell_motion, name=name)

    def _ordered(self, frames: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        if self.control == "shuffled":
            return frames[shuffled_order(len(frames), np.random.default_rng([self.seed, 4, index]))]
        if self.control == "frozen":
            return frames[frozen_order(len(frames))]
        return frames
