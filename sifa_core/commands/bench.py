"""The command `bench`: the repository's benchmarks, which are not part of the installed package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sifa_core.errors import SifaError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("bench", help="time the operator and the models on this machine")
    parser.add_argument("--quick", action="store_true", help="few repeats and one clip, to see that everything runs")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes minutes")
    parser.add_argument("--no-models", action="store_true", help="leave whole models out")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="a README whose figures are to be updated")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("benchmarks"), metavar="FOLDER", help="for results.json and results.md"
    )
    parser.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> None:
    try:
        from benchmarks import run
    except ModuleNotFoundError as error:
        if error.name not in ("benchmarks", "benchmarks.run"):
            raise
        raise SifaError(
            "The benchmarks are in the repository: run python -m sifa_core bench from the root of a clone."
        ) from error
    table = run.run(
        options.out,
        options.readme,
        quick=options.quick,
        with_compile=not options.no_compile,
        with_models=not options.no_models,
    )
    print(table)
