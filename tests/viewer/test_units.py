"""Runs the JavaScript unit tests under node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_javascript_units() -> None:
    files = sorted(str(path) for path in FOLDER.glob("*.test.mjs"))
    assert files
    result = subprocess.run(
        ["node", "--test", "--test-reporter=tap", *files], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
