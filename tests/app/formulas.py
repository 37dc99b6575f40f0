"""`python -m tests.app.formulas` typesets the formulas of the Learn tab, once, for all browsers: LaTeX to MathML."""

from __future__ import annotations

import json
from pathlib import Path

from latex2mathml.converter import convert

from app.tabs import lessons

PATH = Path(lessons.__file__).parent / "formulas.js"


def script() -> str:
    """What formulas.js holds: a line for each formula and symbol of lessons.py."""
    display = {lesson.formula: "block" for lesson in lessons.LESSONS}
    symbols = [latex for lesson in lessons.LESSONS for latex, _ in lesson.symbols]
    for latex in [*symbols, *(latex for latex, _ in lessons.SYMBOLS.values())]:
        display.setdefault(latex, "inline")
    lines = [f"  {json.dumps(latex)}: {json.dumps(convert(latex, display=how))},\n" for latex, how in display.items()]
    head = "/** MathML of the formulas in lessons.py, by their LaTeX; made by `make formulas`. */\n"
    return f"{head}const FORMULAS = {{\n{''.join(lines)}}};\n"


if __name__ == "__main__":
    PATH.write_text(script(), encoding="utf-8")
