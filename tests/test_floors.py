"""Imports go downward only, and the tool that holds them there sees what goes against it.

A forbidden import is added to a copy of the packages; it stands in a function, as imports that hide from a circle do.
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = "The package knows nothing of the page"
PACKAGE = "Floors of the package"
EXPLANATIONS = "Floors of the explanations"
TRAINING = "Training uses the primitives of the explanations only"
CIRCLES = "No circles"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """What lint-imports says about the packages in a folder."""
    program = Path(sysconfig.get_path("scripts")) / "lint-imports"
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("app", "sifa_core"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_no_import_goes_up_or_round(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout
    assert " 0 broken." in result.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("sifa_core/profile/cost.py", "import gradio", PAGE),
        ("sifa_core/commands/app.py", "from app import server", PAGE),
        ("sifa_core/inference.py", "from sifa_core.explain.points import Query", PACKAGE),
        ("sifa_core/ops/dense.py", "import sifa_core.layers.sifa", PACKAGE),
        ("sifa_core/explain/analysis.py", "from sifa_core.explain.studies import controls", EXPLANATIONS),
        ("sifa_core/explain/studies/controls.py", "from sifa_core.explain.render import renderers", EXPLANATIONS),
        ("sifa_core/explain/trace.py", "import sifa_core.explain.analysis", EXPLANATIONS),
        ("sifa_core/training/offset_accuracy.py", "import sifa_core.explain.analysis", TRAINING),
        ("sifa_core/data/sampling.py", "import sifa_core.data.decode", CIRCLES),
        ("app/service.py", "from app.page import build_page", CIRCLES),
    ],
)
def test_a_forbidden_import_is_found(copy: Path, file: str, line: str, contract: str) -> None:
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write(f"\n\ndef _forbidden() -> None:\n    {line}\n")
    result = lint(copy)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


def test_a_new_file_needs_its_place_among_the_floors(copy: Path) -> None:
    (copy / "sifa_core" / "explain" / "newcomer.py").touch()
    result = lint(copy)
    assert result.returncode == 1
    assert "newcomer" in result.stdout
