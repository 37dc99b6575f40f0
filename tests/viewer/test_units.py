"""Runs the JavaScript unit tests under node's own test runner; Playwright brings a node where there is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "web" / "tests"


def find_node() -> str | None:
    if found := shutil.which("node"):
        return found
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError:
        return None
    return str(compute_driver_executable()[0])


def test_javascript_units() -> None:
    node = find_node()
    if node is None:
        pytest.skip("node is not installed")
    files = sorted(str(path) for path in FOLDER.glob("*.test.js"))
    assert files
    result = subprocess.run(
        [node, "--test", "--test-reporter=tap", *files], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
