"""Processes for tests that need one: a rank of several, or one that is killed.

Importing PyTorch and what trains with it takes seconds of a processor. These are forked from a server that has imported
it and does nothing else, so each begins as new.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["torch._dynamo", "sifa_core.training", "accelerate", "torch.utils.tensorboard", "plotly.graph_objects"]
)


def start(work: Callable[..., object], *arguments: Any, output: Path, **environment: str) -> ForkServerProcess:
    """Begin `work(*arguments)` with one thread; what it says and prints is written to the file `output`."""
    variables = {**os.environ, **environment}
    process = _CONTEXT.Process(target=_begin, args=(work, arguments, output, variables), daemon=True)
    process.start()
    return process


def finish(process: ForkServerProcess, output: Path) -> str:
    """Wait until it has ended well; returns what it said. An AssertionError says it otherwise."""
    process.join(240)
    said = output.read_text(encoding="utf-8") if output.exists() else ""
    assert process.exitcode == 0, said[-2000:]
    return said


def ranks(work: Callable[..., object], *arguments: Any, folder: Path, **environment: str) -> str:
    """Do the same in two processes, which find their rank and each other as those that torchrun starts."""
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", **environment}
    started = []
    try:
        for rank in ("0", "1"):
            output = folder / f"said.{rank}"
            variables = {**common, "RANK": rank, "LOCAL_RANK": rank}
            started.append((start(work, *arguments, output=output, **variables), output))
        return "".join(finish(process, output) for process, output in started)
    finally:
        for process, _ in started:
            process.kill()


def _begin(work: Callable[..., object], arguments: tuple[Any, ...], output: Path, variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    with output.open("w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    torch.set_num_threads(1)
    _result = work(*arguments)
    sys.stdout.flush()
    # Nothing is taken apart: what connects ranks would end its threads while it holds the interpreter, for which one of
    # them may be waiting.
    os._exit(0)
