"""Evaluation: clips x crops, softmax averaged over the views of a video; accuracy by class and by speed.

`evaluate_checkpoint` goes from a checkpoint's name to its figures, by the protocol that the caller names or its data
set's own; `evaluate` runs any model over any data set. Legend: B videos, V views, T frames of H x W pixels.
"""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sifa_core.data.datasets import ClipDataset, Failures, MotionDataset
from sifa_core.data.motion15 import LABELS, OPPOSITE, SPEED_BINS, speed_bin
from sifa_core.data.transforms import normalize
from sifa_core.errors import ConfigError, ExportError
from sifa_core.models import load_model
from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.training.config import DataConfig, from_dict
from sifa_core.training.loading import EpochSampler, make_loader, motion_config, validation_data

TEST_CLIPS = 3000
"""Clips of motion15's test split that a full evaluation takes."""
KINDS = {"none": "unseen clips", "between": "unseen clips that move only between feature frames"}
"""What a protocol's line calls the clips; "shuffled clips", "frozen clips" otherwise."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    """[classes, classes], true class by row, predicted class by column."""
    speeds: NDArray[np.int64]
    """[bins, 2], right and all, by SPEED_BINS; all zero where speeds are not known."""
    loss: float
    """Mean cross entropy of the averaged probabilities."""
    protocol: str
    """One line: data, views, size."""
    failures: Failures

    @property
    def count(self) -> int:
        """Videos that were evaluated."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Top-1, 0..1; NaN without videos."""
        return float(np.trace(self.confusion) / self.count) if self.count else math.nan

    @property
    def per_class(self) -> dict[str, float]:
        """Recall of every class; NaN for a class without videos."""
        totals = self.confusion.sum(axis=1)
        hits = np.diag(self.confusion)
        return {
            label: float(hit / total) if total else math.nan
            for label, hit, total in zip(self.labels, hits, totals, strict=True)
        }

    @property
    def by_speed(self) -> dict[str, dict[str, float]]:
        """Accuracy and number of clips of each speed bin that occurs."""
        rows = zip(SPEED_BINS, self.speeds.tolist(), strict=True)
        return {name: {"accuracy": right / total, "clips": total} for name, (right, total) in rows if total}

    @property
    def directions(self) -> float:
        """Fraction that is right of the answers that name a clip's class or its opposite: 0.5 for one who guesses.

        NaN without such answers, or for other classes than motion15's.
        """
        if self.labels != LABELS:
            return math.nan
        opposite, classes = np.array(OPPOSITE), np.arange(len(OPPOSITE))
        moves = opposite != classes
        right, wrong = (int(self.confusion[classes, other][moves].sum()) for other in (classes, opposite))
        return right / (right + wrong) if right + wrong else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "protocol": self.protocol,
            "videos": self.count,
            "top1": self.accuracy,
            "loss": self.loss,
            "per_class": {key: None if math.isnan(value) else value for key, value in self.per_class.items()},
            "by_speed": self.by_speed,
            "directions": None if math.isnan(self.directions) else self.directions,
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "failures": dict(self.failures.counts),
        }


@torch.inference_mode()
def evaluate(
    model: VideoModel,
    dataset: ClipDataset,
    *,
    batch: int = 32,
    workers: int = 0,
    protocol: str = "",
    progress: Callable[[int, int], None] | None = None,
    rank: int = 0,
    world: int = 1,
) -> Evaluation:
    """Run a model over a data set. The model's mode is as before afterwards.

    Args:
        model: a network whose classes are the data set's.
        dataset: items of V views; probabilities are averaged over them.
        batch: clips at a time; the views of one video are drawn together even where they are more.
        workers: processes that draw or decode.
        protocol: what is evaluated, in words; goes into the result.
        progress: called with (done, all) after every batch.
        rank: this process, which takes every `world`-th video, and
        world: how many processes share the work.
    """
    classes = len(dataset.labels)
    confusion, speeds = np.zeros((classes, classes), np.int64), np.zeros((len(SPEED_BINS), 2), np.int64)
    losses, failures, done = 0.0, Failures(), 0
    was_training = model.training
    model.eval()
    try:
        videos = max(1, batch // dataset.views)
        for data in make_loader(dataset, EpochSampler(len(dataset), videos, rank, world), workers):
            failures.add(data.failures)
            done += len(data.labels) + len(data.failures)
            if len(data.labels):
                probability = _probabilities(model, data.clips, batch)
                predicted = probability.argmax(dim=1)
                losses += float(-probability.gather(1, data.labels[:, None]).clamp_min(1e-12).log().sum())
                np.add.at(confusion, (data.labels.numpy(), predicted.numpy()), 1)
                for speed, right in zip(data.speeds.tolist(), (predicted == data.labels).tolist(), strict=True):
                    if not math.isnan(speed):
                        speeds[speed_bin(speed)] += (right, 1)
            if progress is not None:
                progress(done, len(dataset))
    finally:
        model.train(was_training)
    loss = losses / max(1, int(confusion.sum()))
    return Evaluation(dataset.labels, confusion, speeds, loss, protocol, failures)


def _probabilities(model: VideoModel, clips: Tensor, batch: int) -> Tensor:
    """uint8 [B, V, T, H, W, 3], `batch` clips at a time -> [B, classes], the mean over views, on the CPU."""
    device, info = next(model.parameters()).device, model.info
    parts = clips.flatten(0, 1).split(batch)
    logits = [model(normalize(part.to(device), info.mean, info.std)).float() for part in parts]
    return torch.cat(logits).softmax(dim=1).unflatten(0, clips.shape[:2]).mean(dim=1).cpu()


def summary(result: Evaluation) -> str:
    """A few lines for people, protocol first."""
    lines = [result.protocol, f"top-1 {100 * result.accuracy:.1f} % of {result.count} videos, loss {result.loss:.3f}"]
    if result.by_speed:
        lines.append("by speed, cells of res4 per feature frame:")
        lines += [
            f"  {name:>12}: {100 * row['accuracy']:5.1f} % of {row['clips']}" for name, row in result.by_speed.items()
        ]
    if not math.isnan(directions := result.directions):
        lines.append(f"told from the opposite direction: {100 * directions:.1f} % (guessing: 50 %)")
    worst = sorted((value, key) for key, value in result.per_class.items() if not math.isnan(value))[:5]
    lines.append("weakest classes: " + ", ".join(f"{label} {100 * value:.0f} %" for value, label in worst))
    report = result.failures.report()
    return "\n".join([*lines, *([report] if report else [])])


def write_report(result: Evaluation, folder: str | Path) -> tuple[Path, ...]:
    """Write evaluation.json and confusion.html (works without a network) into `folder`; returns their paths.

    Without Plotly there is a warning instead of confusion.html. Raises ExportError.
    """
    folder = writable_folder(folder)
    data, page = folder / "evaluation.json", folder / "confusion.html"
    try:
        data.write_text(json.dumps(result.to_dict(), indent=1), encoding="utf-8")
        try:
            figure = _confusion_figure(result)
        except ModuleNotFoundError:
            warnings.warn(f"{page.name} is not written, because Plotly is not installed.", stacklevel=2)
            return (data,)
        figure.write_html(page, include_plotlyjs=True)
    except OSError as error:
        raise ExportError(f"The folder {folder} cannot be written to: {error.strerror or error}.") from error
    return data, page


def _confusion_figure(result: Evaluation) -> Any:
    """The confusion matrix to look at, a Plotly figure."""
    import plotly.graph_objects as go  # only needed here, and slow to import

    totals = np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            z=100 * result.confusion / totals,
            x=result.labels,
            y=result.labels,
            customdata=result.confusion,
            colorscale="Cividis",
            zmin=0,
            zmax=100,
            colorbar={"title": "% of the true class"},
            hovertemplate="true: %{y}<br>predicted: %{x}<br>%{z:.1f} % (%{customdata} videos)<extra></extra>",
        )
    )
    title = f"Top-1 {100 * result.accuracy:.1f} % of {result.count} videos<br><sub>{result.protocol}</sub>"
    figure.update_layout(title=title, xaxis_title="predicted", yaxis_title="true", height=760)
    figure.update_yaxes(autorange="reversed")
    return figure


def writable_folder(folder: str | Path) -> Path:
    """The folder, made if need be. Raises ExportError where nothing can be written into it: better before the work."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ExportError(f"The folder {folder} cannot be written to: {error.strerror or error}.") from error
    return folder


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
    data = replace(data, num_frames=network.info.num_frames, crop=network.info.input_size)
    if data.kind == "motion15":
        dataset, views = _drawn_clips(data, clips, crops, size or TEST_CLIPS, control)
    else:
        data = replace(data, crop=size or data.crop, short_sides=())
        dataset, views = _videos(data, network.info.labels, clips, crops, control)
    _check_labels(network.info, dataset.labels)
    protocol = f"{views} of {data.crop} x {data.crop}, {data.num_frames} frames, softmax averaged over views"
    if out is not None:
        writable_folder(out)  # a mistake here should not cost the evaluation
    result = evaluate(network, dataset, batch=batch, workers=data.workers, protocol=protocol, progress=progress)
    if out is not None:
        write_report(result, out)
    return result


def _drawn_clips(data: DataConfig, clips: int, crops: int, size: int, control: str) -> tuple[ClipDataset, str]:
    """motion15's test split and the first words of its protocol. Raises ConfigError where there would be views."""
    if (clips, crops) != (1, 1):
        raise ConfigError(f"motion15 has no {clips} clip(s) x {crops} crop(s); these are for data sets of files.")
    dataset = MotionDataset("test", size, motion_config(data), seed=data.seed, control=control)
    return dataset, f"motion15 test, seed {data.seed}, {size} {KINDS.get(control, f'{control} clips')}"


def _videos(data: DataConfig, labels: tuple[str, ...], clips: int, crops: int, control: str) -> tuple[ClipDataset, str]:
    """The validation split of files and the first words of its protocol. Raises ConfigError for a control."""
    if control != "none":
        raise ConfigError(f"There is no control {control!r} for a data set of files; controls are for motion15.")
    dataset = validation_data(data, labels, clips=clips, crops=crops)
    return dataset, f"{data.kind} {Path(data.val).name}, {len(dataset)} videos, {clips} clip(s) x {crops} crop(s)"


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
