"""Files to download. They travel inside the answer and are saved by the browser: none stays on the server's disk."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from sifa_core import Analysis
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.render.renderers import RENDERERS

KINDS = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "html": "text/html",
    "json": "application/json",
}
BUTTON_TEXTS = {
    "png": "Figure PNG",
    "svg": "Figure SVG",
    "gif": "Film GIF",
    "mp4": "Film MP4",
    "html": "Viewer HTML",
    "json": "Numbers JSON",
}
"""Words on the button of each kind."""


def pack(analysis: Analysis, selection: Selection, kind: str) -> dict[str, Any]:
    """The analysis as a file: name, media type, bytes in base64. Raises QueryError for a `kind` not in KINDS."""
    if kind not in KINDS:
        raise QueryError(f"There is no file of the kind {kind!r}; choose one of: {', '.join(KINDS)}.")
    content = RENDERERS[kind](analysis, selection)
    return {
        "name": file_name(analysis, kind),
        "type": KINDS[kind],
        "data": base64.b64encode(content).decode("ascii"),
    }


def file_name(analysis: Analysis, kind: str) -> str:
    """A harmless file name that still tells the clip."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", Path(analysis.clip.source.name).stem).strip("_")[:60]
    return f"sifa_{stem or 'clip'}.{kind}"
