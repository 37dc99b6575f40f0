"""From a configuration to batches: data sets, samplers and the loader.

A sampler says which sample comes at which position, the same however many processes share it: a global batch is `world`
batches of one process side by side, and position p is place p in the sequence of shuffled epochs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from sifa_core.data import datasets
from sifa_core.data.datasets import ClipDataset, MotionDataset
from sifa_core.data.datasets.base import Batch, collate
from sifa_core.data.motion15 import MotionConfig
from sifa_core.training.config import DataConfig, TrainConfig


def motion_config(config: DataConfig) -> MotionConfig:
    """The clips that the configuration asks for, at full difficulty."""
    return MotionConfig(config.num_frames, config.crop, config.crop)


def training_data(config: TrainConfig, world: int = 1) -> ClipDataset:
    """The training split, for `world` processes. Raises DatasetError, ConfigError."""
    data, group = config.data, config.run.batch * world
    if data.kind == "motion15":
        return MotionDataset(
            "train",
            data.epoch_size,
            replace(motion_config(data), between=data.between),
            seed=data.seed,
            shapes=data.shapes,
            group=group,
            fresh=True,
            skip=data.skip,
            ramp=data.ramp_steps * group * config.run.accumulation,
            between=data.between_steps * group * config.run.accumulation,
            with_motion=config.optimizer.offset_target == "motion",
        )
    view = datasets.View(
        data.num_frames,
        data.stride,
        data.crop,
        data.short_sides,
        data.flip,
        seed=config.run.seed,
        augmentation=config.augment,
    )
    return datasets.open_dataset(
        data.kind, data.train, root=data.root, labels=data.labels, view=view, frames=data.frames
    )


def validation_data(
    data: DataConfig, names: tuple[str, ...] | None = None, *, clips: int = 1, crops: int = 1
) -> ClipDataset:
    """The validation split with `clips` x `crops` views of every video, numbered as the classes `names`.

    Raises DatasetError, ConfigError.
    """
    if data.kind == "motion15":
        return MotionDataset("val", data.val_size, motion_config(data), seed=data.seed)
    view = datasets.View(data.num_frames, data.stride, data.crop, training=False, clips=clips, crops=crops)
    return datasets.open_dataset(
        data.kind,
        data.val,
        root=data.val_root or data.root,
        labels=data.labels,
        view=view,
        names=names,
        frames=data.frames,
    )


WAITING_BYTES = 2**31
"""What batches that workers have made, or are making, may take: thirty views of 64 frames at 256 pixels are 0.38 GB."""
PREFETCH = 4
"""Batches that each worker has ready, at most."""


class EndlessSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (index, position) for one process, from batch number `start` on, `batches` of them or without end.

    Args:
        length: samples in an epoch.
        batch: samples in a batch of one process.
        seed: of the order; None for no shuffling.
        start: number of the first batch, so that a resumed run goes on where it stopped.
        batches: how many; None for no end.
        rank: number of this process, and
        world: how many there are.
    """

    def __init__(
        self,
        length: int,
        batch: int,
        *,
        seed: int | None = None,
        start: int = 0,
        batches: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.length, self.batch, self.seed, self.start, self.batches = length, batch, seed, start, batches
        self.rank, self.world = rank, world
        self._epoch, self._order = -1, np.arange(length)

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, self.length)
        if self.seed is not None and epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.length)
        return int(self._order[place])

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        number = self.start
        while self.batches is None or number < self.start + self.batches:
            first = (number * self.world + self.rank) * self.batch
            yield [(self._index(position), position) for position in range(first, first + self.batch)]
            number += 1


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """Every sample once, in order, divided over the processes; for evaluation."""

    def __init__(self, length: int, batch: int, rank: int = 0, world: int = 1) -> None:
        self.batch = batch
        self._mine = range(rank, length, world)

    @property
    def samples(self) -> int:
        """How many are this process's."""
        return len(self._mine)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for first in range(0, self.samples, self.batch):
            yield [(index, index) for index in self._mine[first : first + self.batch]]

    def __len__(self) -> int:
        return -(-self.samples // self.batch)


def make_loader(
    dataset: ClipDataset, sampler: Sampler[list[tuple[int, int]]], workers: int, batch_bytes: int
) -> DataLoader[Batch]:
    """Batches of `batch_bytes` drawn by `workers` processes, in order; by fewer where they would take too much memory.

    OpenCV runs on one thread from then on, here and in the workers: a worker is one core's worth of work, and a pool of
    threads that is alive while a process forks never answers in the child.
    """
    waiting = max(1, WAITING_BYTES // batch_bytes)
    workers = min(workers, waiting)
    if workers:
        cv2.setNumThreads(1)
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # keys are pairs, which DataLoader passes on untouched
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        prefetch_factor=min(PREFETCH, waiting // workers) if workers else None,
        generator=torch.Generator(),  # its own: the shared one belongs to dropout, which a resumed run must repeat
    )
