"""Several processes that share an evaluation, as torchrun starts them: which one this is, and one result for all.

`torchrun --nproc-per-node=2 -m sifa_core evaluate ...`; without torchrun there is one process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from sifa_core.training.result import Evaluation, merged


@dataclass(frozen=True)
class Share:
    """Which part of the work is this process's: every `world`-th video from number `rank` on."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the process that prints and writes."""
        return self.rank == 0

    def together(self, part: Evaluation) -> Evaluation:
        """The whole from every process's part; each process gets it. All of them must call it."""
        if self.world == 1:
            return part
        from accelerate.utils import gather_object  # type: ignore[import-untyped]

        return merged(gather_object([part]))


def share() -> Share:
    """This process's share; it meets the others first if torchrun started several, and each has its own GPU then.

    Where there are several it needs the extra "train".
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Share()
    from accelerate import PartialState  # type: ignore[import-untyped]

    state = PartialState(cpu=not torch.cuda.is_available())
    return Share(state.process_index, state.num_processes)


def leave() -> None:
    """Part from the other processes, as the last thing that a program does."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
