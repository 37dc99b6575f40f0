"""The front end as it is built from web/: one program and one style sheet, made by `make web` and committed.

A component of the page is filled by a part of the program, whichever of them is there first.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def program() -> str:
    """The program that fills all parts."""
    return (FOLDER / "app.js").read_text(encoding="utf-8")


@cache
def styles() -> str:
    """The page's style sheet, without the viewer's, which the program brings."""
    return (FOLDER / "app.css").read_text(encoding="utf-8")


def part(name: str) -> str:
    """What a component runs to be filled by the part `name` of the program, see web/src/host.js."""
    return f"(globalThis.sifaParts ??= []).push([{name!r}, {{element, props, server, trigger, watch}}]);"
