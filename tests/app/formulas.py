"""`python -m tests.app.formulas` typesets the formulas of the Learn tab, once, for all browsers: LaTeX to MathML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

TABS = Path(__file__).parents[2] / "web" / "src" / "tabs"
PATH = TABS / "formulas.js"


def words() -> dict[str, Any]:
    """The lessons, and the symbols that rows of numbers are named by."""
    found: dict[str, Any] = json.loads((TABS / "lessons.json").read_text(encoding="utf-8"))
    return found


def script() -> str:
    """What formulas.js holds: a line for each formula and symbol of lessons.json."""
    lessons, named = words()["lessons"], words()["symbols"]
    display = {lesson["formula"]: "block" for lesson in lessons}
    symbols = [latex for lesson in lessons for latex, _ in lesson["symbols"]]
    for latex in [*symbols, *(latex for latex, _ in named.values())]:
        display.setdefault(latex, "inline")
    lines = [f"  {json.dumps(latex)}: {json.dumps(convert(latex, display=how))},\n" for latex, how in display.items()]
    head = "/** MathML of the formulas in lessons.json, by their LaTeX; made by `make formulas`. */\n"
    return f"{head}export const FORMULAS = {{\n{''.join(lines)}}};\n"


if __name__ == "__main__":
    PATH.write_text(script(), encoding="utf-8")
