"""Writes docs/licences.md: what the page stands on, and under which licences.

    python -m tests.licences

The packages are those of requirements.txt and all that they need; what each says of its own licence is what is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
FAMILIES = {
    "MIT": r"\bMIT\b(?!-CMU)|MIT License",
    "MIT-CMU": "MIT-CMU",
    "BSD": r"\bBSD\b|0BSD",
    "Apache-2.0": r"Apache(?:[ -]?2\.0)?|Apache Software License",
    "PSF": "PSF-2.0|Python Software Foundation|matplotlib versions",
    "ISC": r"\bISC\b",
    "MPL-2.0": r"MPL[- ]2\.0|Mozilla Public License 2\.0",
    "Zlib": r"\bZlib\b",
    "CC0-1.0": "CC0-1.0",
    "BSL-1.0": "BSL-1.0|Boost",
    "LLVM-exception": "LLVM-exception",
}
"""Licences under which a package may be used beside this program's own, and how packages write them. MPL-2.0 asks for
the source of changed files of the package itself, of which there are none here."""
REFUSED = re.compile(r"GPL|SSPL|Commons Clause|Proprietary|Non-?Commercial", re.IGNORECASE)
HEAD = """# Licences

The program is under the [MIT licence](../LICENSE). This is what its page needs beside Python, with what each package
says of its own licence; `python -m tests.licences` writes the list, and a test fails for a licence that is not known to
fit. Packages for training, ONNX and tests are not part of what is served.

| package | licence |
|---|---|
"""
FOOT = """
The wheels of `av` and `opencv-python-headless` hold shared libraries of FFmpeg under the LGPL (version 3 or later in
`av`); whoever hands out an image with them hands out these libraries, too, unchanged and exchangeable.

**JavaScript.** Gradio brings its front end with it, and Python's plotly brings plotly.js (MIT). The page's program
holds Gradio's JavaScript client (Apache-2.0; `app/bundle/LICENSES`). Tests use axe-core (MPL-2.0), which lies in
`tests/browser/axe` with its licence and in no package.
"""


def packages() -> list[str]:
    """All distributions of requirements.txt and what they need, by canonical name. Raises PackageNotFoundError."""
    found: set[str] = set()

    def add(name: str) -> None:
        name = canonicalize_name(name)
        if name in found:
            return
        needed = [Requirement(text) for text in metadata.requires(name) or []]
        found.add(name)
        for each in needed:
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                add(each.name)

    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            add(Requirement(line).name)
    return sorted(found)


def statements(name: str) -> Iterator[str]:
    """What a package says of its licence, the most precise first."""
    told = metadata.metadata(name)
    for text in (told.get("License-Expression"), told.get("License")):
        if text and text != "UNKNOWN":
            yield text
    yield from (text for text in told.get_all("Classifier", []) if text.startswith("License ::"))


def licence(name: str) -> str:
    """The known licences that a package names. Raises ValueError if there are none, or one that does not fit."""
    for text in statements(name):
        known = [family for family, pattern in FAMILIES.items() if re.search(pattern, text)]
        if known and not REFUSED.search(text):
            return ", ".join(known)
    raise ValueError(f"{name} has a licence that is not known to fit: {'; '.join(statements(name))[:300] or 'none'}")


def page() -> str:
    """The text of docs/licences.md."""
    return HEAD + "".join(f"| {name} | {licence(name)} |\n" for name in packages()) + FOOT


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
