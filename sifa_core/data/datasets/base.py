"""What every data set offers to training: samples by (index, position), and broken files named rather than fatal.

T frames of H x W pixels. `position` is the sample's place in the run's endless stream; with the seed it fixes every
random choice, so a sample is the same whichever worker or process draws it, and after a resume too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sifa_core.errors import SifaError


class DatasetError(SifaError):
    """A list, folder or annotation file that does not describe a usable data set."""


@dataclass(frozen=True)
class Item:
    """One training or evaluation sample, or the reason why there is none."""

    clips: NDArray[np.uint8] | None
    """[V, T, H, W, 3], V views (1 in training); None if the file is broken."""
    label: int = -1
    speed: float = float("nan")
    """Cells per feature frame where it is known (motion15)."""
    motion: NDArray[np.float32] | None = None
    """[F,H/8,W/8,2], see MotionSample.cell_motion, where it is known and was asked for."""
    failure: str = ""
    """Name of the file and what is wrong with it; empty if all is well."""
    name: str = ""
    """The file, or what else tells the sample from others."""


class ClipDataset(Protocol):
    """A finite or endless collection of labelled clips."""

    labels: tuple[str, ...]

    @property
    def table(self) -> str:
        """Classes, counts and files, for people to check before they train; empty for clips that are drawn."""
        ...

    @property
    def identity(self) -> str:
        """Tells data sets with other files, classes or order apart, wherever the files lie; empty for drawn clips."""
        ...

    @property
    def views(self) -> int:
        """V of every sample."""
        ...

    @property
    def sample_bytes(self) -> int:
        """What the clips of one sample take, [V,T,H,W,3]."""
        ...

    def __len__(self) -> int:
        """Number of samples in an epoch."""
        ...

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Sample `key[0]`, with the random choices of stream position `key[1]`."""
        ...


@dataclass(frozen=True)
class Batch:
    """Samples put together; broken ones are left out and named."""

    clips: torch.Tensor
    """uint8 [B, V, T, H, W, 3]; B may be 0."""
    labels: torch.Tensor
    """int64 [B]."""
    speeds: torch.Tensor
    """float32 [B]."""
    failures: tuple[str, ...]
    names: tuple[str, ...] = ()
    """[B]"""
    motion: torch.Tensor | None = None
    """float32 [B,F,H/8,W/8,2] if every sample knows it, see MotionSample.cell_motion."""


def collate(items: Sequence[Item]) -> Batch:
    """Put items into a batch; those without clips only leave their failure."""
    good = [item for item in items if item.clips is not None]
    arrays = [item.clips for item in good if item.clips is not None]
    # One sample alone, which may be thirty views of 64 frames, is not copied.
    stacked = arrays[0][None] if len(arrays) == 1 else np.stack(arrays) if arrays else np.empty(0, np.uint8)
    clips = torch.from_numpy(stacked)
    motions = [item.motion for item in good if item.motion is not None]
    return Batch(
        clips,
        torch.tensor([item.label for item in good], dtype=torch.int64),
        torch.tensor([item.speed for item in good], dtype=torch.float32),
        tuple(item.failure for item in items if item.failure),
        tuple(item.name for item in good),
        torch.from_numpy(np.stack(motions)) if motions and len(motions) == len(good) else None,
    )


@dataclass
class Failures:
    """Keeps count of broken files over a run."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, failures: Sequence[str]) -> None:
        """Count failures, one string per occurrence."""
        self.counts.update(failures)

    def state_dict(self) -> dict[str, Any]:
        """For resuming a run."""
        return {"counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.counts = Counter(state["counts"])

    def report(self, most: int = 50) -> str:
        """One line a file, most frequent first; empty if nothing was broken."""
        if not self.counts:
            return ""
        lines = [f"  {text} ({count}x)" for text, count in self.counts.most_common(most)]
        rest = len(self.counts) - len(lines)
        head = f"{len(self.counts)} broken file(s) were left out, {sum(self.counts.values())} time(s) in all:"
        return "\n".join([head, *lines, *([f"  and {rest} more"] if rest > 0 else [])])
