"""An evaluation for people: a few lines of text, and files with the figures, every answer and the confusion matrix."""

from __future__ import annotations

import csv
import json
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sifa_core.data.endings import natural_key
from sifa_core.errors import ExportError
from sifa_core.training.result import Evaluation


def summary(result: Evaluation) -> str:
    """A few lines for people, protocol first."""
    accuracies = f"top-1 {100 * result.accuracy:.1f} %, top-5 {100 * result.top5:.1f} %"
    lines = [result.protocol, f"{accuracies} of {result.count} videos, loss {result.loss:.3f}"]
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
    """Write evaluation.json, predictions.csv and confusion.html (works without a network) into `folder`.

    Returns their paths. Without Plotly there is a warning instead of confusion.html. Raises ExportError.
    """
    folder = writable_folder(folder)
    data, answers, page = folder / "evaluation.json", folder / "predictions.csv", folder / "confusion.html"
    try:
        data.write_text(json.dumps(result.to_dict(), indent=1), encoding="utf-8")
        _write_answers(result, answers)
        try:
            figure = _confusion_figure(result)
        except ModuleNotFoundError:
            warnings.warn(f"{page.name} is not written, because Plotly is not installed.", stacklevel=2)
            return data, answers
        figure.write_html(page, include_plotlyjs=True)
    except OSError as error:
        raise ExportError(f"The folder {folder} cannot be written to: {error.strerror or error}.") from error
    return data, answers, page


def _write_answers(result: Evaluation, path: Path) -> None:
    """A line for every video, in the order of their names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("video", "class", "predicted", "probability"))
        for answer in sorted(result.videos, key=lambda answer: natural_key(answer.name)):
            table.writerow((answer.name, answer.label, answer.predicted, f"{answer.probability:.4f}"))


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
    accuracies = f"Top-1 {100 * result.accuracy:.1f} %, top-5 {100 * result.top5:.1f} %"
    title = f"{accuracies} of {result.count} videos<br><sub>{result.protocol}</sub>"
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
