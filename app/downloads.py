"""Files to download. They travel inside the answer and are saved by the browser: none stays on the server's disk."""

from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from sifa_core import Analysis
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

SAVE_FILE_JS = """
watch('value', () => {
  const file = props.value;
  if (!file || !file.data) return;
  const bytes = Uint8Array.from(atob(file.data), character => character.charCodeAt(0));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], {type: file.type}));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
"""


def build_download() -> gr.HTML:
    """An invisible component; whatever `pack` makes, given as its value, is saved by the browser."""
    return gr.HTML({}, html_template="", js_on_load=SAVE_FILE_JS, elem_id="download")


def pack(analysis: Analysis, selection: Selection, kind: str) -> dict[str, Any]:
    """The analysis as a file of `kind` (a key of KINDS), for the component of `build_download`."""
    content = RENDERERS[kind](analysis, selection)
    return {
        "name": file_name(analysis, kind),
        "type": KINDS[kind],
        "data": base64.b64encode(content).decode("ascii"),
        "number": secrets.token_hex(4),  # the same file asked for twice is to be saved twice
    }


def file_name(analysis: Analysis, kind: str) -> str:
    """A harmless file name that still tells the clip."""
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", Path(analysis.clip.source.name).stem).strip("_")[:60]
    return f"sifa_{stem or 'clip'}.{kind}"
