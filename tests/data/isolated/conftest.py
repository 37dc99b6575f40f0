"""Readers with little memory, shared by the tests of a file: the process that workers come from takes a while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sifa_core.data.isolated import Readers, WorkerLimits
from tests.data import hostile

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

LITTLE = WorkerLimits(memory_bytes=250_000_000)


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    made = Readers(LITTLE)
    yield made
    made.close()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.mp4"
    path.write_bytes(hostile.plain())
    return path
