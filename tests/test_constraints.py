"""The lists of packages agree with each other, and the tested set fits the oldest Python that is promised."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from sifa_core import extras

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def listed(name: str) -> set[Requirement]:
    """The requirements that a file names itself."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))}


def declared(*names: str) -> set[Requirement]:
    """The dependencies of the package, and what the extras `names` add."""
    return {Requirement(text) for text in sum((EXTRAS[name] for name in names), PROJECT["dependencies"])}


def test_every_pin_takes_the_oldest_python() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    pins = re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    installed = {canonicalize_name(package.name): package for package in metadata.distributions()}
    for name, version in pins:
        package = installed.get(canonicalize_name(name))
        if package is not None and package.version.split("+")[0] == version:  # others say nothing about this pin
            limit = package.metadata.get("Requires-Python") or ""
            assert SpecifierSet(limit).contains(f"{oldest}.0"), f"{name}=={version} needs Python {limit}"
    assert f"Python {oldest} or" in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_space_installs_the_dependencies_and_the_page() -> None:
    assert listed("requirements.txt") == declared("app")


def test_development_installs_every_extra() -> None:
    here = listed("requirements.txt") | listed("requirements-dev.txt")
    assert declared(*EXTRAS) <= here


def test_every_requirement_is_pinned() -> None:
    pins = {canonicalize_name(pin.name) for pin in listed("constraints.txt")}
    wanted = {canonicalize_name(each.name) for each in listed("requirements.txt") | listed("requirements-dev.txt")}
    assert wanted <= pins


@pytest.mark.parametrize(
    ("requirements", "modules"),
    [(PROJECT["dependencies"], extras.CORE), *((EXTRAS[name], modules) for name, modules in extras.EXTRAS.items())],
    ids=["core", *extras.EXTRAS],
)
def test_the_sentence_about_a_missing_module_names_what_brings_it(
    requirements: list[str], modules: tuple[str, ...]
) -> None:
    brought_by = metadata.packages_distributions()
    packages = {canonicalize_name(Requirement(text).name) for text in requirements}
    assert set(extras.EXTRAS) == set(EXTRAS)
    assert packages == {
        package for module in modules for package in map(canonicalize_name, brought_by[module]) if package in packages
    }
    assert all(packages & set(map(canonicalize_name, brought_by[module])) for module in modules)
