"""The viewer: plain JavaScript modules and styles, and how they become one script for a page that loads nothing.

The modules run as they are under node's test runner. For a page they are wrapped, in the order in which they need each
other, into one script: `const sifaViewer = (() => {...})();`, with `sifaViewer.mount` (see mount.js).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ENTRY = "mount.js"
STYLES = ("viewer.css", "panes.css", "controls.css", "overlays.css", "narrow.css")

_IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./([\w]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|let|class) (\w+))", re.MULTILINE)


def viewer_script(entry: str = ENTRY) -> str:
    """All modules that `entry` needs as one classic script; `sifaViewer` holds what `entry` exports.

    Only the two forms `import { a, b } from "./file.js";` and `export function|const|class name` are used by the
    modules; anything else that looks like an import or export is an error here, not in somebody's browser.
    """
    return f"const sifaViewer = (() => {{\n{_modules(entry)}\nreturn {_variable(entry)};\n}})();\n"


def viewer_styles() -> str:
    """The style sheet; every rule is scoped under the class sifa-viewer."""
    return "\n".join(read(name) for name in STYLES)


@cache
def read(name: str) -> str:
    """Text of a file of the viewer."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _modules(entry: str) -> str:
    order: list[str] = []
    _visit(entry, order, ())
    return "\n".join(_wrapped(name) for name in order)


def _visit(name: str, order: list[str], path: tuple[str, ...]) -> None:
    """Append `name` after everything it imports."""
    if name in path:
        raise ValueError(f"modules import each other in a ring: {' -> '.join((*path, name))}")
    if name in order:
        return
    for _, needed in _IMPORT.findall(read(name)):
        _visit(needed, order, (*path, name))
    order.append(name)


def _wrapped(name: str) -> str:
    """A module as a function that is called once; its imports become constants, its exports what it returns."""
    source = read(name)
    exports = _EXPORT.findall(source)
    body = _IMPORT.sub(lambda match: f"const {{ {match[1]} }} = {_variable(match[2])};\n", source)
    body = _EXPORT.sub("", body)
    if re.search(r"^\s*(?:import|export)\b", body, re.MULTILINE):
        raise ValueError(f"{name} has an import or export of a form that cannot be bundled")
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exports)} }};\n}})();"


def _variable(name: str) -> str:
    return "module_" + name.removesuffix(".js")
