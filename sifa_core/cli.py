"""The command line, `sifa COMMAND` or `python -m sifa_core COMMAND`. A thin face of the Python API; it holds no maths.

Figures go to standard output, everything else to standard error. Bad input ends with one line and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from sifa_core.commands import app, bench, clips, export, profile, timeline, training
from sifa_core.errors import SifaError
from sifa_core.extras import missing

BAD_INPUT = 2
INTERRUPTED = 130
NOT_READ = 141
"""What a shell says of a command whose reader has gone, as `head` does once it has its lines."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still to be written goes nowhere: Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_READ


def _run(arguments: Sequence[str] | None) -> int:
    options = make_parser().parse_args(arguments)
    try:
        options.run(options)
    except SifaError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as error:
        sentence = missing(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `options.run(options)` runs the one that was named."""
    parser = _Parser(prog="sifa", description="Explore video clips with inter-frame attention (SIFA).")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for module in (app, clips, timeline, training, profile, export, bench):
        module.add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Like argparse's own, but a mistake is answered by one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}; see {self.prog} --help\n")
