"""The CPU kernels under the address and undefined-behaviour sanitizers, and proof that these see faults."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sifa_core.ops import cpu
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import KERNELS

HARNESS = Path(__file__).with_name("cpu_harness.cpp")
ADDRESS = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    if shutil.which("g++") is None:
        pytest.skip("the sanitizers need g++")

    def call(*flags: str, kernels: Path = KERNELS / "cpu") -> Path:
        output = tmp_path_factory.mktemp("sanitized") / "harness"
        command = ["g++", "-std=c++17", "-O0", "-g1", "-Wno-psabi", "-march=native", *flags]
        command += [f"-I{kernels}", str(HARNESS), "-o", str(output)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return output

    return call


def write_problem(path: Path, shape: tuple[int, ...], settings: Settings, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    query, memory, grad = torch.randn(3, *shape, generator=generator).to(dtype)
    offset = 3 * torch.randn(shape[0], 2 * settings.taps, *shape[2:], generator=generator)
    bad = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, 2.0**31, -(2.0**63), -1.0, 300.0])
    offset.flatten()[torch.randint(offset.numel(), (64,), generator=generator)] = bad.repeat(8)
    grad_weights = torch.randn(shape[0], settings.taps, *shape[2:], generator=generator).to(dtype)
    problem = cpu.describe(settings, query, memory, offset, threads=2)
    problem.query_stride = problem.memory_stride = query[0].numel()
    problem.offset_stride = offset[0].numel()
    tensors = (query, memory.float(), offset, grad, grad_weights)
    parts = [t.permute(0, 2, 3, 1).reshape(-1).view(torch.uint8).numpy().tobytes() for t in tensors]
    path.write_bytes(bytes(problem) + b"".join(parts))


def run(program: Path, problem: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    return subprocess.run([str(program), str(problem)], capture_output=True, text=True, env=environment, timeout=120)


PROBLEMS = [
    ((2, 33, 5, 4), Settings(3, "mean")),
    ((1, 48, 1, 7), Settings(2, "softmax")),
    ((3, 1, 4, 1), Settings(9, "none")),
    ((1, 70, 3, 3), Settings(3, "mean")),
]


@pytest.mark.parametrize(("store", "dtype"), [("float", torch.float32), ("Float16", torch.float16)])
def test_address_and_undefined_behaviour(build: Callable, tmp_path: Path, store: str, dtype: torch.dtype) -> None:
    program = build(*ADDRESS, f"-DSTORE={store}", "-fopenmp")
    for shape, settings in PROBLEMS:
        write_problem(tmp_path / "problem", shape, settings, dtype)
        result = run(program, tmp_path / "problem")
        assert result.returncode == 0, result.stderr
        assert abs(float(result.stdout)) < 1e6


FAULTS = {
    "corner below the map": ("y >= 0 && y < problem.height", "y >= 0 && y <= problem.height", "heap-buffer-overflow"),
    "a point on the last row": (" & (at_y < last_row)", "", "heap-buffer-overflow"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(build: Callable, tmp_path: Path, fault: str) -> None:
    present, planted, words = FAULTS[fault]
    shutil.copytree(KERNELS / "cpu", tmp_path / "kernels")
    source = (tmp_path / "kernels/sampling.h").read_text()
    assert present in source
    (tmp_path / "kernels/sampling.h").write_text(source.replace(present, planted))
    program = build(*ADDRESS, "-fopenmp", kernels=tmp_path / "kernels")
    write_problem(tmp_path / "problem", (1, 33, 5, 4), Settings(3, "mean"), torch.float32)
    result = run(program, tmp_path / "problem")
    assert result.returncode != 0
    assert words in result.stderr
