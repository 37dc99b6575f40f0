"""Evaluation: clips x crops, softmax averaged over the views of a video; accuracy by class and by speed.

Legend: B videos, V views, C classes.
"""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sifa_core.data.datasets.base import ClipDataset, Failures
from sifa_core.data.motion15 import LABELS, OPPOSITE, SPEED_BINS, speed_bin
from sifa_core.errors import ExportError
from sifa_core.models.base import VideoModel
from sifa_core.training.stream import EpochSampler, make_loader, normalise


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    """[C,C], true class by row, predicted class by column."""
    speeds: NDArray[np.int64]
    """[bins,2], right and all, by SPEED_BINS; all zero where speeds are not known."""
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
        """Share that is right of the answers that name a clip's class or its opposite: 0.5 for one who guesses.

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
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        videos = max(1, batch // dataset.views)
        for data in make_loader(dataset, EpochSampler(len(dataset), videos, rank, world), workers):
            failures.add(data.failures)
            done += len(data.labels) + len(data.failures)
            if len(data.labels):
                count, views = data.clips.shape[:2]
                parts = data.clips.flatten(0, 1).split(batch)
                logits = [model(normalise(part.to(device), model.info.mean, model.info.std)).float() for part in parts]
                probability = torch.cat(logits).softmax(dim=1).unflatten(0, (count, views)).mean(dim=1).cpu()
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
