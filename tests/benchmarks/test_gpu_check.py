"""The report says what is missing instead of breaking off."""

from __future__ import annotations

import pytest

from benchmarks import gpu_check
from sifa_core.ops.build import BuildError


def test_a_missing_compiler_is_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise BuildError("the NVRTC library was not found")

    monkeypatch.setattr(gpu_check.nvrtc, "version", missing)
    assert gpu_check.compiler() == "no compiler: the NVRTC library was not found"
