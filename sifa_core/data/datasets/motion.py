"""motion15 as a data set: clips are drawn when they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sifa_core.data.datasets.base import Item
from sifa_core.data.motion15 import LABELS, MotionConfig, render


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
        ramp: positions over which the difficulty rises from a third to the config's; 0 for none.
    """

    labels: tuple[str, ...] = LABELS

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
        ramp: int = 0,
    ) -> None:
        self.split, self.size, self.seed = split, size, seed
        self.config = config or MotionConfig()
        self.shapes, self.group, self.fresh, self.ramp = shapes, group, fresh, ramp

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
        sample = render(self.seed, self.split, position if self.fresh else index, config)
        return Item(sample.frames[None], sample.label, sample.speed)
