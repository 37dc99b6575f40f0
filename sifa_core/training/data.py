"""From a configuration to data sets."""

from __future__ import annotations

from dataclasses import replace

from sifa_core.data import datasets
from sifa_core.data.datasets import ClipDataset, MotionDataset
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
    view = datasets.View(data.num_frames, data.stride, data.crop, data.short_sides, data.flip, seed=config.run.seed)
    return datasets.open_dataset(data.kind, data.train, root=data.root, labels=data.labels, view=view)


def validation_data(
    data: DataConfig, names: tuple[str, ...] | None = None, *, clips: int = 1, crops: int = 1
) -> ClipDataset:
    """The validation split with `clips` x `crops` views of every video, numbered as the classes `names`.

    Raises DatasetError, ConfigError.
    """
    if data.kind == "motion15":
        return MotionDataset("val", data.val_size, motion_config(data), seed=data.seed)
    view = datasets.View(data.num_frames, data.stride, data.crop, training=False, clips=clips, crops=crops)
    return datasets.open_dataset(data.kind, data.val, root=data.root, labels=data.labels, view=view, names=names)
