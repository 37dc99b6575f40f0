"""Log lines of the server: readable, with times, and without anything that visitors sent.

A message of an unexpected error may quote a file's name or a label, so that a traceback is told by its places and the
kind of error alone.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("httpx", "httpcore", "matplotlib", "PIL", "asyncio", "gradio")
"""They say who connects to what, or nothing that helps."""


class PrivateFormatter(logging.Formatter):
    """A formatter whose tracebacks have no values in them."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """Places and kinds of the errors of a chain, the first cause first."""
        error: BaseException | None = ei[1]
        lines: list[str] = []
        while error is not None:
            lines[:0] = [*_places(error.__traceback__), type(error).__name__]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(lines)


def _places(trace: TracebackType | None) -> list[str]:
    return [
        f"  {frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})" for frame in traceback.extract_tb(trace)
    ]


def set_up(level: str) -> None:
    """Log to standard error from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrivateFormatter(FORMAT, "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
