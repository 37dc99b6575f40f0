"""What a run says while it runs: a progress bar with the time left, TensorBoard events, and log.jsonl."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sifa_core.files import write_atomically
from sifa_core.training.report import summary
from sifa_core.training.result import Evaluation

LOG = "log.jsonl"
"""File of a run's folder with a line for every validation and every `run.log_every` steps."""

DATA = "data.txt"
"""File of a run's folder that lists classes, counts and what was left out."""


class RunLogger:
    """Writes what happens in a run to its folder and the terminal.

    Args:
        out: the run's folder.
        steps: of the whole run.
        step: where the run starts or goes on.
        quiet: nothing on the terminal.
    """

    def __init__(self, out: Path, steps: int, step: int, quiet: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter  # only needed here, and slow to import

        self._out = out
        self._events = SummaryWriter(str(out), purge_step=step + 1)
        self._log = (out / LOG).open("a", encoding="utf-8")
        self._bar = tqdm(total=steps, initial=step, disable=quiet, unit="step", mininterval=5, smoothing=0.05)
        self._clock, self._quiet = time.perf_counter(), quiet

    def data(self, training: str, validation: str) -> None:
        """What the splits hold, to data.txt and the terminal; nothing for clips that are drawn."""
        if training or validation:
            text = f"Training split: {training}\n\nValidation split: {validation}\n"
            write_atomically(self._out / DATA, text.encode())
            if not self._quiet:
                self._bar.write(text, file=sys.stderr)

    def step(self) -> None:
        """One optimizer step is done."""
        self._bar.update()

    def training(self, step: int, loss: float, top1: float, top5: float, norm: float, rate: float, clips: int) -> None:
        """Means over the steps since the last call: loss, accuracies; gradient norm, learning rate; `clips` in them."""
        now = time.perf_counter()
        speed, self._clock = clips / max(now - self._clock, 1e-9), now
        self._write(step, "train", loss=loss, top1=top1, top5=top5, grad_norm=norm, lr=rate, clips_per_s=speed)
        self._bar.set_postfix_str(
            f"loss {loss:.3f}, top-1 {100 * top1:.1f} %, top-5 {100 * top5:.1f} %, {speed:.1f} clips/s"
        )

    def validation(self, step: int, result: Evaluation) -> None:
        """The outcome of a validation."""
        self._write(step, "val", loss=result.loss, top1=result.accuracy, top5=result.top5)
        if not self._quiet:
            self._bar.write(f"step {step}: {summary(result)}", file=sys.stderr)  # as the bar: results go to stdout
        self._clock = time.perf_counter()

    def _write(self, step: int, phase: str, **values: float) -> None:
        row: dict[str, Any] = {"step": step, "phase": phase, "time": round(time.time(), 1)}
        self._log.write(json.dumps(row | {key: round(value, 6) for key, value in values.items()}) + "\n")
        self._log.flush()
        for key, value in values.items():
            self._events.add_scalar(f"{phase}/{key}", value, step)

    def close(self) -> None:
        """Flush and close everything."""
        self._bar.close()
        self._events.close()
        self._log.close()
