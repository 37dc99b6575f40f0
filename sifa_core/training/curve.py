"""The learning curve of a run, or of runs that went on from one another, as a picture.

`python -m sifa_core.training.curve runs/NAME [runs/NEXT ...] -o curve.png`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sifa_core.errors import ExportError, SifaError
from sifa_core.training.run_logger import LOG

ENDINGS = (".png", ".svg")
SMOOTH = 15
"""Log lines that a running mean of the training curves takes, a third of them all at most."""
STYLES = {"train": {"color": "#1d5fd1"}, "val": {"color": "#b3261e", "marker": "o"}}
LABELS = {"train": "training clips", "val": "validation clips"}


class LogError(SifaError):
    """A folder without a readable log."""


def read_log(folder: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """Phase ("train" or "val") -> step -> (loss, top-1). Where a run was taken up again, the later line counts.

    Raises LogError.
    """
    curves: dict[str, dict[int, tuple[float, float]]] = {"train": {}, "val": {}}
    try:
        for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            curves[row["phase"]][int(row["step"])] = (float(row["loss"]), float(row["top1"]))
    except OSError as error:
        raise LogError(f"{folder} has no readable {LOG}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"{folder / LOG} is not the log of a training run.") from error
    if not curves["train"]:
        raise LogError(f"{folder / LOG} has no line about training.")
    return curves


def draw_curve(folders: Sequence[Path], out: Path) -> Path:
    """Loss and top-1 over the steps of all folders, one after another; `out` ends with .png or .svg.

    Raises LogError; ExportError for another ending, or a place that cannot be written to.
    """
    if out.suffix.lower() not in ENDINGS:
        raise ExportError(f"{out.name} cannot be written: the ending must be one of {', '.join(ENDINGS)}.")
    figure = Figure(figsize=(8, 2.9), dpi=110, facecolor="white", layout="constrained")
    panels = figure.subplots(1, 2)
    first = 0
    for number, folder in enumerate(folders):
        curves = read_log(folder)
        for index, axes in enumerate(panels):
            for phase in STYLES:
                steps, values = _curve(curves[phase], index, smooth=phase == "train")
                label = LABELS[phase] if number == 0 else None
                axes.plot(first + steps, values, lw=1.4, ms=3.5, label=label, **STYLES[phase])
            if number:
                axes.axvline(first, color="0.6", lw=0.8, ls=":")
        first += max(curves["train"])
    for axes, title in zip(panels, ("cross-entropy and offset loss", "top-1, per cent"), strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    panels[1].legend(fontsize=8, frameon=False, loc="lower right")
    FigureCanvasAgg(figure)
    try:
        figure.savefig(out)
    except OSError as error:
        raise ExportError(f"{out} cannot be written: {error.strerror or error}.") from error
    return out


def _curve(rows: dict[int, tuple[float, float]], index: int, *, smooth: bool) -> tuple[NDArray, NDArray]:
    """Steps, and loss (`index` 0) or top-1 in per cent (1) at them; with `smooth` as a running mean that ends there."""
    steps = np.array(sorted(rows), np.int64)
    values = (1, 100)[index] * np.array([rows[step][index] for step in steps])
    if not smooth:
        return steps, values
    width = max(1, min(SMOOTH, len(values) // 3))
    return steps[width - 1 :], np.convolve(values, np.ones(width) / width, "valid")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the learning curve of a run and of those that followed it.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("-o", "--out", type=Path, default=Path("curve.png"))
    options = parser.parse_args()
    try:
        print(draw_curve(options.folders, options.out))
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error
