"""Evaluation: clips x crops, softmax averaged over the views of a video; accuracy by class and by speed.

`evaluate_checkpoint` goes from a checkpoint's name to its figures, by the protocol that the caller names or its data
set's own; `evaluate` runs any model over any data set. Legend: B videos, V views, T frames of H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sifa_core.data.datasets import Batch, ClipDataset, Failures, MotionDataset
from sifa_core.data.motion15 import SPEED_BINS, speed_bin
from sifa_core.data.transforms import normalize
from sifa_core.errors import ConfigError, NotFiniteError
from sifa_core.models import load_model
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.training.config import DataConfig, Precision, from_dict
from sifa_core.training.loading import EpochSampler, make_loader, motion_config, validation_data
from sifa_core.training.report import writable_folder, write_report
from sifa_core.training.result import Answer, Evaluation
from sifa_core.training.sharing import Share, share

TEST_CLIPS = 3000
"""Clips of motion15's test split that a full evaluation takes."""
KINDS = {"none": "unseen clips", "between": "unseen clips that move only between feature frames"}
"""What a protocol's line calls the clips; "shuffled clips", "frozen clips" otherwise."""
FORWARD_BYTES = 2**28
"""What the clips of one forward take as numbers, unless the caller says how many they are."""
MOST_CLIPS = 32
"""Clips of one forward, at most, unless the caller says how many they are."""
FORMATS = {"fp16": torch.float16, "bf16": torch.bfloat16}


@torch.inference_mode()
def evaluate(
    model: VideoModel,
    dataset: ClipDataset,
    *,
    batch: int | None = None,
    workers: int = 0,
    precision: Precision = "no",
    protocol: str = "",
    progress: Callable[[int, int], None] | None = None,
    part: Share | None = None,
) -> Evaluation:
    """Run a model over a data set, or over this process's part of it. The model's mode is as before afterwards.

    Args:
        model: a network whose classes are the data set's.
        dataset: items of V views; probabilities are averaged over them.
        batch: clips at a time; the views of one video are drawn together even where they are more. By default as many
            as `FORWARD_BYTES` hold, `MOST_CLIPS` at most.
        workers: processes that draw or decode.
        precision: number format of the forward: "no" for float32, "fp16" or "bf16" for automatic mixed precision.
        protocol: what is evaluated, in words; goes into the result.
        progress: called with (done, all) after every batch.
        part: which videos are this process's; None for all.

    Raises NotFiniteError if the network's answers are not numbers.
    """
    classes, part = len(dataset.labels), part or Share()
    confusion, speeds = np.zeros((classes, classes), np.int64), np.zeros((len(SPEED_BINS), 2), np.int64)
    losses, top5, failures, answers, done = 0.0, 0, Failures(), [], 0
    batch = batch or min(MOST_CLIPS, max(1, FORWARD_BYTES * dataset.views // (4 * dataset.sample_bytes)))
    videos = max(1, batch // dataset.views)
    sampler = EpochSampler(len(dataset), videos, part.rank, part.world)
    was_training = model.training
    model.eval()
    try:
        for data in make_loader(dataset, sampler, workers, videos * dataset.sample_bytes):
            failures.add(data.failures)
            done += len(data.labels) + len(data.failures)
            if len(data.labels):
                probability = _probabilities(model, data, batch, precision)
                predicted, labels = probability.argmax(dim=1), data.labels
                losses += float(-probability.gather(1, labels[:, None]).clamp_min(1e-12).log().sum())
                best = probability.topk(min(5, classes), dim=1).indices
                top5 += int((best == labels[:, None]).any(dim=1).sum())
                np.add.at(confusion, (labels.numpy(), predicted.numpy()), 1)
                for speed, right in zip(data.speeds.tolist(), (predicted == labels).tolist(), strict=True):
                    if not math.isnan(speed):
                        speeds[speed_bin(speed)] += (right, 1)
                for name, label, other, row in zip(data.names, labels, predicted, probability, strict=True):
                    answers.append(Answer(name, dataset.labels[label], dataset.labels[other], float(row[other])))
            if progress is not None:
                progress(done, sampler.samples)
    finally:
        model.train(was_training)
    loss = losses / max(1, int(confusion.sum()))
    return Evaluation(dataset.labels, confusion, speeds, loss, protocol, failures, top5, tuple(answers))


def _probabilities(model: VideoModel, data: Batch, batch: int, precision: Precision) -> Tensor:
    """Clips [B, V, T, H, W, 3], `batch` at a time -> [B, classes], the mean over views, on the CPU."""
    device, info = next(model.parameters()).device, model.info
    parts = []
    for clips in data.clips.flatten(0, 1).split(batch):
        video = normalize(clips.to(device), info.mean, info.std)
        with torch.autocast(device.type, FORMATS.get(precision, torch.bfloat16), enabled=precision != "no"):
            parts.append(model(video).float())
    logits = torch.cat(parts).unflatten(0, data.clips.shape[:2])
    if not (finite := torch.isfinite(logits).flatten(1).all(dim=1)).all():
        bad = data.names[int(finite.int().argmin())]
        advice = "" if precision == "no" else f"; try without {precision}"
        raise NotFiniteError(f"{info.source or info.name} gives values that are not finite for {bad}{advice}.")
    return logits.softmax(dim=2).mean(dim=1).cpu()


def evaluate_checkpoint(
    model: str | Path | VideoModel,
    data: DataConfig | None = None,
    *,
    clips: int = 1,
    crops: int = 1,
    size: int | None = None,
    control: str = "none",
    batch: int | None = None,
    precision: Precision = "no",
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure a model: on motion15's test split, or on the validation split of a data set of files.

    Under torchrun the processes share the videos, each of which is taken once, and all return the whole.

    Args:
        model: a model, a shipped name, or a file.
        data: the data set; None for the one that the checkpoint says it was trained on.
        clips: views along time; files only.
        crops: views along the longer side, 1 or 3; files only.
        size: motion15: clips (default 3,000). Files: side of the crops (default the model's input size).
        control: motion15: "shuffled", "frozen" or "between" clips, to see what the model relies on.
        batch: clips at a time; as many as fit into a little memory by default, see `evaluate`.
        precision: "no" for float32, "fp16" or "bf16" for automatic mixed precision.
        out: folder for evaluation.json, predictions.csv and confusion.html; None to write nothing.
        progress: called with (done, all) after every batch.

    Raises:
        ConfigError: the classes of model and data set differ in number or name, no data set is known, or an option does
            not apply to it.
        DatasetError, ModelError: something cannot be read.
        NotFiniteError: the network's answers are not numbers.
        ExportError: `out` cannot be written to.
    """
    part = share()
    network = load_model(model) if isinstance(model, str | Path) else model
    data = data or _own_data(network)
    dataset, protocol = _measured_on(network.info, data, clips, crops, size, control)
    protocol += "" if precision == "no" else f", {precision}"
    if out is not None and part.is_first:
        writable_folder(out)  # a mistake here should not cost the evaluation
    result = part.together(
        evaluate(
            network,
            dataset,
            batch=batch,
            workers=data.workers,
            precision=precision,
            protocol=protocol,
            progress=progress if part.is_first else None,
            part=part,
        )
    )
    if out is not None and part.is_first:
        write_report(result, out)
    return result


def _measured_on(
    info: ModelInfo, data: DataConfig, clips: int, crops: int, size: int | None, control: str
) -> tuple[ClipDataset, str]:
    """The data set for clips as the model takes them, and its protocol. Raises ConfigError where they do not fit."""
    data = replace(data, num_frames=info.num_frames, crop=info.input_size)
    if data.kind == "motion15":
        dataset, views = _drawn_clips(data, clips, crops, size or TEST_CLIPS, control)
    else:
        data = replace(data, crop=size or data.crop, short_sides=())
        dataset, views = _videos(data, info, clips, crops, control)
    _check_labels(info, dataset.labels)
    return dataset, f"{views} of {data.crop} x {data.crop}, {data.num_frames} frames, softmax averaged over views"


def _drawn_clips(data: DataConfig, clips: int, crops: int, size: int, control: str) -> tuple[ClipDataset, str]:
    """motion15's test split and the first words of its protocol. Raises ConfigError where there would be views."""
    if (clips, crops) != (1, 1):
        raise ConfigError(f"motion15 has no {clips} clip(s) x {crops} crop(s); these are for data sets of files.")
    dataset = MotionDataset("test", size, motion_config(data), seed=data.seed, control=control)
    return dataset, f"motion15 test, seed {data.seed}, {size} {KINDS.get(control, f'{control} clips')}"


def _videos(data: DataConfig, info: ModelInfo, clips: int, crops: int, control: str) -> tuple[ClipDataset, str]:
    """The validation split of files and the first words of its protocol. Raises ConfigError for a control.

    A model without class names takes those of the list, in the order of the alphabet, where it has names.
    """
    if control != "none":
        raise ConfigError(f"There is no control {control!r} for a data set of files; controls are for motion15.")
    names: tuple[str, ...] | None = info.labels
    remark = ""
    if not data.labels and _are_numbers(info.labels) and not _are_numbers(validation_data(data).labels):
        names, remark = None, ", classes numbered in the order of their names"
    dataset = validation_data(data, names, clips=clips, crops=crops)
    count = f"{len(dataset)} videos{remark}"
    return dataset, f"{data.kind} {Path(data.val).name}, {count}, {clips} clip(s) x {crops} crop(s)"


def _check_labels(info: ModelInfo, wanted: tuple[str, ...]) -> None:
    """Raises ConfigError where the data set's classes are not the model's; a model without names has any."""
    known = info.labels
    if len(known) != len(wanted):
        advice = "; data.labels names a file of all of them" if _are_numbers(known) else ""
        raise ConfigError(f"{info.name} has {len(known)} classes, but the data set has {len(wanted)}{advice}.")
    if _are_numbers(known):
        return
    for number, (own, other) in enumerate(zip(known, wanted, strict=True)):
        if own != other:
            raise ConfigError(f"Class {number} is {own!r} to {info.name}, but {other!r} in the data set.")


def _are_numbers(labels: tuple[str, ...]) -> bool:
    """Whether classes have no names, as in a checkpoint that does not bring any and in a list of numbers."""
    return labels == tuple(f"class {number}" for number in range(len(labels)))


def _own_data(network: VideoModel) -> DataConfig:
    """The data set in a checkpoint's facts."""
    training = network.info.facts.get("training")
    if isinstance(training, dict) and "data" in training:
        return from_dict(DataConfig, training["data"], "data")
    raise ConfigError(f"{network.info.name} does not say what it was trained on; name a data set.")
