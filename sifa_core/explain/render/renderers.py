"""Writing an analysis to a file, by the file's ending. A new kind of file is one module and one line of RENDERERS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sifa_core.errors import ExportError
from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.render import figure5, film, numbers, page
from sifa_core.files import write_atomically

RENDERERS: dict[str, Callable[[Analysis, Selection], bytes]] = {
    "png": partial(figure5.file, kind="png"),
    "svg": partial(figure5.file, kind="svg"),
    "pdf": partial(figure5.file, kind="pdf"),
    "gif": film.gif,
    "mp4": film.mp4,
    "html": page.html,
    "json": numbers.json_file,
}
"""A file's ending, without the dot -> what makes its content."""


def save(analysis: Analysis, path: Path, selection: Selection) -> Path:
    """Write the selection to `path`. The file appears whole or not at all, and never in place of the clip.

    Raises ExportError for another ending than those of RENDERERS or a place that cannot be written.
    """
    kind = file_kind(path)
    if path.is_file() and _sha256(path) == analysis.clip.sha256:
        raise own_clip(path)
    content = RENDERERS[kind](analysis, selection)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ExportError(f"{path.name} cannot be written: {error.strerror}.") from error
    return path


def own_clip(path: Path) -> ExportError:
    """What to raise where the analysis would replace the video that it explains."""
    return ExportError(f"{path.name} is the clip itself; choose another name.")


def file_kind(path: Path) -> str:
    """The file's ending, without the dot. Raises ExportError for one that cannot be written."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in RENDERERS:
        endings = ", ".join("." + ending for ending in RENDERERS)
        raise ExportError(f"{path.name} cannot be written: the ending must be one of {endings}.")
    return kind


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ExportError(f"{path.name} cannot be written: {error.strerror}.") from error
