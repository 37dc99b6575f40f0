"""Uploaded clips and served pictures on disk: in a folder of this process alone, and not for long."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UPLOAD_SECONDS = 600.0
"""Age at which a file goes. Longer than a full queue takes, so that no upload goes before it is read."""
SWEEP_SECONDS = 60.0


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder for everything Gradio writes, swept while it is in use and removed in the end.

    Gradio's own `delete_cache` would leave the empty files behind that its file component makes for every upload.
    """
    stop = threading.Event()
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="sifa-explorer-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["GRADIO_TEMP_DIR"] = name
        sweeper = threading.Thread(target=_sweep_until, args=(stop, folder), daemon=True, name="sweeper")
        sweeper.start()
        try:
            yield folder
        finally:
            stop.set()
            sweeper.join()
            if before is None:
                os.environ.pop("GRADIO_TEMP_DIR", None)
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def sweep(folder: Path, older_than: float) -> None:
    """Delete what has not changed in `folder` for `older_than` seconds: files, and folders without any."""
    limit = time.time() - older_than
    for path in sorted(folder.rglob("*"), reverse=True):  # what is within a folder comes before the folder
        try:
            if path.lstat().st_mtime > limit:
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        except OSError:  # gone already, or a folder still in use
            continue


def _sweep_until(stop: threading.Event, folder: Path) -> None:
    while not stop.wait(SWEEP_SECONDS):
        sweep(folder, UPLOAD_SECONDS)
