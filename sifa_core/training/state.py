"""States to resume from: everything that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator  # type: ignore[import-untyped]

STATE = re.compile(r"state-(\d+)")


@dataclass
class Progress:
    """How far the run is; the position in the data follows from it."""

    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """For resuming a run."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.step = state["step"]


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
