"""Builds the real GPU kernels with the host's compiler, and problems to run them on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sifa_core.ops import cuda
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import KERNELS

SHIM = Path(__file__).parent / "shim"
# Without optimisation the sanitizers see every step as it is written, and compiling takes half the time. The library is
# optimised, which also lets the compiler find more to warn about.
FLAGS = {
    "fibers": [
        *("-O0", "-DFIBERS", "-g1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"),
    ],
    "threads": ["-O0", "-g1", "-fsanitize=thread", "-pthread"],
    "library": ["-O1", "-DFIBERS", "-shared", "-fPIC"],
}


def _compile(engine: str, *arguments: str) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("the host harness needs g++")
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Winvalid-pch"]
    result = subprocess.run([*command, *FLAGS[engine], *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """build(engine, constants, kernels) makes the harness, an executable or library, once.

    CUDA's words do not depend on the constants. They are compiled once for an engine, which halves the time.
    """
    folder = tmp_path_factory.mktemp("harness")

    def call(engine: str, constants: cuda.Constants, kernels: Path = KERNELS / "gpu") -> Path:
        output = folder / f"{engine}-{'-'.join(map(str, constants))}-{kernels.name}"
        words = folder / engine / "words.h.gch"
        if not words.exists():
            words.parent.mkdir(exist_ok=True)
            _compile(engine, "-x", "c++-header", str(SHIM / "words.h"), "-o", str(words))
        if not output.exists():
            folders = [f"-I{each}" for each in (words.parent, kernels, SHIM)]
            _compile(engine, *constants.options(), *folders, str(SHIM / "harness.cpp"), "-o", str(output))
        return output

    return call


@pytest.fixture
def make_problem() -> Callable[..., tuple[torch.Tensor, ...]]:
    """query, memory, offset and gradients of both outputs; a few offsets are not numbers, infinite, huge or whole."""

    def make(shape: tuple[int, ...], settings: Settings, dtype: torch.dtype, seed: int = 0) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        query, memory, grad = torch.randn(3, *shape, generator=generator)
        offset = 1.5 * torch.randn(shape[0], 2 * settings.taps, *shape[2:], generator=generator)
        bad = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 2.0**31, -1.0, 0.0, 1.0, 300.0])
        which = torch.randint(offset.numel(), (3 * len(bad),), generator=generator)
        offset.flatten()[which] = bad.repeat(3)
        grad_weights = torch.randn(shape[0], settings.taps, *shape[2:], generator=generator)
        return query.to(dtype), memory.to(dtype), offset, grad.to(dtype), grad_weights.to(dtype)

    return make
