"""Writes requirements-image.txt: every package of the image but torch, with the hash of its file.

    python -m tests.image_lock

Run on Linux for x86-64 with the Python of the image; pip says which files it would take for requirements.txt and
constraints.txt. Which build of torch an image has is chosen when it is built.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-image.txt"
CHOSEN_LATER = ("torch",)
HEAD = """# Every package of the image but torch, with the hash of its file (Python 3.11, Linux, x86-64).
# Written by `python -m tests.image_lock`; installed with --require-hashes --no-deps.
"""


def report() -> dict[str, Any]:
    """What pip would install. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        files = ["-r", str(ROOT / "requirements.txt"), "-c", str(ROOT / "constraints.txt")]
        asked = ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(path), *files]
        subprocess.run([sys.executable, "-m", "pip", *asked], check=True)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def lock(found: dict[str, Any]) -> str:
    """The text of requirements-image.txt."""
    lines = []
    for each in found["install"]:
        name = canonicalize_name(each["metadata"]["name"])
        if name not in CHOSEN_LATER:
            digest = each["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.append(f"{name}=={each['metadata']['version']} --hash=sha256:{digest}\n")
    return HEAD + "".join(sorted(lines))


if __name__ == "__main__":
    LOCK.write_text(lock(report()), encoding="utf-8")
