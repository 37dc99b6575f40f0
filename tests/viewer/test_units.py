"""Runs the JavaScript unit tests under node's own test runner; Playwright brings a node where there is none."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.viewer import shared_points

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


def test_what_both_languages_are_tested_with_is_current() -> None:
    stored = json.loads(shared_points.PATH.read_text(encoding="utf-8"))
    made = shared_points.cases()
    assert stored["grid"] == made["grid"]
    for one, other in zip(stored["layers"], made["layers"], strict=True):
        np.testing.assert_allclose(one["offset"], other["offset"])
        np.testing.assert_allclose(one["weights"], other["weights"])
    for one, other in zip(stored["found"], made["found"], strict=True):
        assert (one["query"], one["levels"], one["inFrame"]) == (other["query"], other["levels"], other["inFrame"])
        for name in ("points", "base", "weights"):
            np.testing.assert_allclose(one[name], other[name], atol=1e-6)
