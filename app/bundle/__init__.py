"""The front end as it is built from web/: one program and one style sheet, made by `make web` and committed.

A component of the page is filled by a part of the program, whichever of them is there first.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).parent


@cache
def program() -> str:
    """The program that fills all parts."""
    return (FOLDER / "app.js").read_text(encoding="utf-8")


@cache
def styles() -> str:
    """The page's style sheet, without the viewer's, which the program brings."""
    return (FOLDER / "app.css").read_text(encoding="utf-8")


def host(name: str, value: Any = None, *, before: str = "", **options: Any) -> gr.HTML:
    """A component that the part `name` of the program fills, with what it is told first; `before` is run before."""
    return gr.HTML(
        {} if value is None else value,
        html_template='<div class="part"></div>',
        js_on_load=before + part(name),
        **options,
    )


def part(name: str) -> str:
    """What a component runs to be filled by the part `name` of the program, see web/src/host.js."""
    return f"(globalThis.sifaParts ??= []).push([{name!r}, {{element, props}}]);"
