"""One call from a checkpoint's name to its figures, by the protocol that the caller names or its data set's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sifa_core.data.datasets import MotionDataset
from sifa_core.errors import ConfigError
from sifa_core.models import load_model
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.training.config import DataConfig, from_dict
from sifa_core.training.data import motion_config, validation_data
from sifa_core.training.evaluate import Evaluation, evaluate, writable_folder, write_report

TEST_CLIPS = 3000
"""Clips of motion15's test split that a full evaluation takes."""
KINDS = {"none": "unseen clips", "between": "unseen clips that move only between feature frames"}
"""What a protocol's line calls the clips; "shuffled clips", "frozen clips" otherwise."""


def evaluate_checkpoint(
    model: str | Path | VideoModel,
    data: DataConfig | None = None,
    *,
    clips: int = 1,
    crops: int = 1,
    size: int | None = None,
    control: str = "none",
    batch: int = 32,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure a model: on motion15's test split, or on the validation split of a data set of files.

    Args:
        model: a model, a shipped name, or a file.
        data: the data set; None for the one that the checkpoint says it was trained on.
        clips: views along time; files only.
        crops: views along the longer side, 1 or 3; files only.
        size: motion15: clips (default 3,000). Files: side of the crops (default the model's input size).
        control: motion15: "shuffled", "frozen" or "between" clips, to see what the model relies on.
        batch: clips at a time.
        out: folder for evaluation.json and confusion.html; None to write nothing.
        progress: called with (done, all) after every batch.

    Raises:
        ConfigError: the classes of model and data set differ in number or name, no data set is known, or an option does
            not apply to it.
        DatasetError, ModelError: something cannot be read.
        ExportError: `out` cannot be written to.
    """
    network = load_model(model) if isinstance(model, str | Path) else model
    data = data or _own_data(network)
    if data.kind == "motion15":
        if (clips, crops) != (1, 1):
            raise ConfigError(f"motion15 has no {clips} clip(s) x {crops} crop(s); these are for data sets of files.")
        data = replace(data, num_frames=network.info.num_frames, crop=network.info.input_size)
        dataset: Any = MotionDataset("test", size or TEST_CLIPS, motion_config(data), seed=data.seed, control=control)
        kind = KINDS.get(control, f"{control} clips")
        views = f"motion15 test, seed {data.seed}, {len(dataset)} {kind}"
    else:
        if control != "none":
            raise ConfigError(f"There is no control {control!r} for a data set of files; controls are for motion15.")
        crop = size or network.info.input_size
        data = replace(data, num_frames=network.info.num_frames, crop=crop, short_sides=())
        dataset = validation_data(data, network.info.labels, clips=clips, crops=crops)
        views = f"{data.kind} {Path(data.val).name}, {len(dataset)} videos, {clips} clip(s) x {crops} crop(s)"
    _check_labels(network.info, dataset.labels)
    protocol = f"{views} of {data.crop} x {data.crop}, {data.num_frames} frames, softmax averaged over views"
    if out is not None:
        writable_folder(out)  # a mistake here should not cost the evaluation
    result = evaluate(network, dataset, batch=batch, workers=data.workers, protocol=protocol, progress=progress)
    if out is not None:
        write_report(result, out)
    return result


def _check_labels(info: ModelInfo, wanted: tuple[str, ...]) -> None:
    """Raises ConfigError where the data set's classes are not the model's; a model without names has any."""
    known = info.labels
    if len(known) != len(wanted):
        raise ConfigError(f"{info.name} has {len(known)} classes, but the data set has {len(wanted)}.")
    if known == tuple(f"class {number}" for number in range(len(known))):
        return
    for number, (own, other) in enumerate(zip(known, wanted, strict=True)):
        if own != other:
            raise ConfigError(f"Class {number} is {own!r} to {info.name}, but {other!r} in the data set.")


def _own_data(network: VideoModel) -> DataConfig:
    """The data set in a checkpoint's facts."""
    training = network.info.facts.get("training")
    if isinstance(training, dict) and "data" in training:
        return from_dict(DataConfig, training["data"], "data")
    raise ConfigError(f"{network.info.name} does not say what it was trained on; name a data set.")
