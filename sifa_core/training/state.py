"""A run's folder: whose it is, and states to resume from, with all that a run needs to go on as if it never stopped."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator  # type: ignore[import-untyped]

from sifa_core.errors import ConfigError
from sifa_core.files import write_atomically
from sifa_core.training.config import TrainConfig, to_dict
from sifa_core.training.recipe import load_config

STATE = re.compile(r"state-(\d+)")
CONFIG = "config.yaml"
MAY_CHANGE = {
    *(f"data.{key}" for key in ("workers", "root", "val_root", "train", "val", "labels")),
    *(f"run.{key}" for key in ("out", "steps", "log_every", "eval_every", "save_every", "resume")),
}
"""Keys that may be others when a run goes on; any other key makes it another run. Data may lie elsewhere as long as it
is the same, see `Progress.data`."""
LISTED_KEYS = 3
"""Keys that an error spells out; it counts the rest."""


@dataclass
class Progress:
    """How far the run is; the position in the data follows from it."""

    processes: int
    """How many make the run: its place in the data and its random numbers belong to that number."""
    data: str = ""
    """`ClipDataset.identity` of the training split: the order of its samples belongs to the run."""
    step: int = 0
    metrics: dict[str, Any] | None = None
    """The last validation and, under "step", after which step it was."""

    def state_dict(self) -> dict[str, Any]:
        """For resuming a run."""
        return {"processes": self.processes, "data": self.data, "step": self.step, "metrics": self.metrics}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`; raises ConfigError if other than `processes` processes made it, or with other data."""
        before = state.get("processes", self.processes)
        if before != self.processes:
            raise ConfigError(
                f"The run was made by {before} process(es) and cannot go on with {self.processes}; "
                "start as many, name another run.out or say run.resume=false."
            )
        if state.get("data", self.data) != self.data:
            raise ConfigError(
                "The training split has other videos, classes or another order than when the run was begun; "
                "give it the same list, name another run.out or say run.resume=false."
            )
        self.step, self.metrics = state["step"], state.get("metrics")


def check_config(folder: Path, config: TrainConfig) -> None:
    """Raise ConfigError naming the first keys that differ if the run in `folder` is not the one that `config` means."""
    theirs, ours = _flat(to_dict(load_config(folder / CONFIG))), _flat(to_dict(config))
    changed = [key for key in sorted({*theirs, *ours} - MAY_CHANGE) if theirs.get(key) != ours.get(key)]
    if changed:
        named = "; ".join(
            f"{key} is {theirs.get(key)!r} there, {ours.get(key)!r} here" for key in changed[:LISTED_KEYS]
        )
        more = f"; and {len(changed) - LISTED_KEYS} more" if len(changed) > LISTED_KEYS else ""
        raise ConfigError(f"{folder} holds another run ({named}{more}); name another run.out or say run.resume=false.")


def claim_folder(folder: Path, config: TrainConfig) -> None:
    """Write down whose run is in the folder, and remove the states of another one that it shall not go on with."""
    for path in () if config.run.resume else folder.glob("state-*"):
        shutil.rmtree(path)
    write_atomically(folder / CONFIG, yaml.safe_dump(to_dict(config)).encode())


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def latest_state(folder: Path) -> Path | None:
    """The finished state of the highest step in `folder`, if there is one."""
    states = {int(m[1]): path for path in folder.glob("state-*") if (m := STATE.fullmatch(path.name))}
    return states[max(states)] if states else None


def save_state(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write model, optimizer, scaler, random generators and registered objects; only a finished state gets its name.

    The states before it go once it is there, so a run that is killed at any moment leaves a whole one.
    """
    final, draft = folder / f"state-{step}", folder / f"state-{step}.part"
    if accelerator.is_main_process and draft.exists():
        shutil.rmtree(draft)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(draft), safe_serialization=True)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if final.exists():
            shutil.rmtree(final)
        draft.rename(final)
        for path in folder.glob("state-*"):
            if path != final:
                shutil.rmtree(path, ignore_errors=True)
    accelerator.wait_for_everyone()
