"""The tested set can be installed on the oldest Python that is promised."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]


def test_every_pin_takes_the_oldest_python() -> None:
    oldest = re.search(r'requires-python = ">=(.+)"', (ROOT / "pyproject.toml").read_text())[1]
    pins = re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    installed = {package.name.replace("-", "_").lower(): package for package in metadata.distributions()}
    for name, version in pins:
        package = installed.get(name.replace("-", "_").lower())
        if package is not None and package.version.split("+")[0] == version:  # others say nothing about this pin
            limit = package.metadata.get("Requires-Python") or ""
            assert SpecifierSet(limit).contains(f"{oldest}.0"), f"{name}=={version} needs Python {limit}"
    assert f"Python {oldest} or" in (ROOT / "CONTRIBUTING.md").read_text()
