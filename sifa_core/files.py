"""Files that appear whole or not at all: whoever looks finds the old one or the new one, never a part of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, parents: bool = False) -> Iterator[Path]:
    """An empty draft beside `path`, with its ending, that takes its place when the block ends without an error.

    The draft is removed otherwise. All users may read the file. With `parents` missing folders are made.
    Raises OSError where nothing can be written.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(0o644)  # mkstemp's files are for one user only
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes, *, parents: bool = False) -> None:
    """Write `content` as the file `path`; see `replacing`. Raises OSError."""
    with replacing(path, parents=parents) as draft:
        draft.write_bytes(content)
