"""The viewer as it is built from web/: a script and styles for a page that loads nothing, made by `make web`.

The script is classic: it makes one variable, `sifaViewer`, with `mount` and `startPage` (web/src/page.js).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def viewer_script() -> str:
    """The viewer, and what starts it on a page of its own."""
    return read("bundle/page.js")


def viewer_styles() -> str:
    """The style sheet of a viewer on any page; every rule is scoped under the class sifa-viewer."""
    return read("bundle/viewer.css")


def page_styles() -> str:
    """The style sheet of a page of its own, the viewer's among it."""
    return read("bundle/page.css")


@cache
def read(name: str) -> str:
    """Text of a file of the viewer."""
    return (FOLDER / name).read_text(encoding="utf-8")
