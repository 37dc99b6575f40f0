"""The real GPU kernels on the host under sanitizers: no read or write outside, no undefined step, no race, right sums.

Each check is shown to catch what it is for: kernels with a fault planted in them must be reported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sifa_core.ops import cuda, reference
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import KERNELS

FLOAT, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16
# Shape, settings, data type, aligned addresses, fixed order of summation.
CASES = {
    "one chunk": ((2, 32, 4, 5), Settings(3, "mean"), FLOAT, True, False),
    "fixed order": ((2, 24, 3, 4), Settings(3, "none"), FLOAT, True, True),
    "odd channels, softmax": ((1, 33, 3, 5), Settings(3, "softmax"), FLOAT, False, False),
    "half, even kernel": ((1, 128, 4, 3), Settings(2, "mean"), HALF, True, False),
    "bfloat16, large kernel": ((1, 48, 3, 3), Settings(5, "softmax"), BRAIN, True, False),
    "largest kernel, one channel": ((1, 1, 5, 4), Settings(9, "mean"), FLOAT, False, False),
    "wider than the registers": ((1, 1028, 2, 2), Settings(3, "softmax"), FLOAT, True, True),
    "half, wider than the registers": ((1, 1040, 1, 2), Settings(3, "mean"), HALF, True, False),
}


def rows(tensor: torch.Tensor) -> bytes:
    """The tensor's numbers in channels_last order."""
    return tensor.permute(0, 2, 3, 1).reshape(-1).view(torch.uint8).numpy().tobytes()


def write_problem(path: Path, problem: tuple[torch.Tensor, ...], settings: Settings) -> None:
    query = problem[0]
    images, channels, height, width = query.shape
    places = height * width
    sizes = cuda.Sizes(
        *(images, channels, height, width, 1, 1),
        *(places * channels, places * channels, places * 2 * settings.taps, settings.factor(channels)),
    )
    path.write_bytes(bytes(sizes) + b"".join(rows(tensor) for tensor in problem))


def run_harness(program: Path, problem: Path, output: Path, seed: int) -> subprocess.CompletedProcess[str]:
    # The thread sanitizer needs addresses where it expects them.
    fixed = [shutil.which("setarch"), "-R"] if shutil.which("setarch") else []
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}
    command = [*fixed, str(program), str(problem), str(output), str(seed)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def read_result(path: Path, problem: tuple[torch.Tensor, ...], settings: Settings) -> list[torch.Tensor]:
    query, _, offset = problem[:3]
    content, results = path.read_bytes(), []
    batch, channels, height, width = query.shape
    for count, dtype in (
        *((channels, query.dtype), (settings.taps, query.dtype)),
        *((channels, query.dtype), (channels, FLOAT), (offset.shape[1], FLOAT)),
    ):
        size = batch * height * width * count * dtype.itemsize
        part, content = content[:size], content[size:]
        flat = torch.frombuffer(bytearray(part), dtype=dtype)
        results.append(flat.view(batch, height, width, count).permute(0, 3, 1, 2))
    assert not content
    return results


def assert_right(results: list[torch.Tensor], problem: tuple[torch.Tensor, ...], settings: Settings) -> None:
    query, memory, offset, grad, grad_weights = problem
    exact = [query.double(), memory.double(), offset.double()]
    outputs = reference.attention(*exact, settings)
    stored = outputs[1].to(query.dtype).double()  # the backward reads the weights as they were stored
    grads = reference.attention_backward(grad.double(), grad_weights.double(), *exact, stored, settings)
    tolerance = {FLOAT: 1e-5, HALF: 2e-3, BRAIN: 1.6e-2}[query.dtype]
    for a, b in zip(results, (*outputs, *grads), strict=True):
        assert (a.double() - b).abs().max() <= tolerance * b.abs().max()


@pytest.mark.parametrize("case", CASES)
def test_address_and_undefined_behaviour(case: str, build: Callable, make_problem: Callable, tmp_path: Path) -> None:
    shape, settings, dtype, aligned, ordered = CASES[case]
    constants = cuda.constants(settings, dtype, shape[1], aligned, ordered)._replace(threads=64)
    problem = make_problem(shape, settings, dtype)
    write_problem(tmp_path / "in", problem, settings)
    program = build("fibers", constants)
    for seed in (1, 2, 3):
        result = run_harness(program, tmp_path / "in", tmp_path / "out", seed)
        assert result.returncode == 0, result.stderr
        assert_right(read_result(tmp_path / "out", problem, settings), problem, settings)


@pytest.mark.parametrize("case", ["one chunk", "fixed order", "odd channels, softmax", "wider than the registers"])
def test_races(case: str, build: Callable, make_problem: Callable, tmp_path: Path) -> None:
    (_, channels, *_), settings, dtype, aligned, ordered = CASES[case]
    constants = cuda.constants(settings, dtype, channels, aligned, ordered)._replace(threads=64)
    problem = make_problem((1, channels, 2, 2), settings, dtype)
    write_problem(tmp_path / "in", problem, settings)
    result = run_harness(build("threads", constants), tmp_path / "in", tmp_path / "out", 1)
    assert result.returncode == 0, result.stderr
    assert_right(read_result(tmp_path / "out", problem, settings), problem, settings)


# File, what stands there, what is planted, engine, what the report must say.
FAULTS = {
    "one row too far": (
        *("common.cuh", "cell_y < sizes.height", "cell_y <= sizes.height"),
        *("fibers", "heap-buffer-overflow"),
    ),
    "one column too early": (
        *("common.cuh", "cell_x >= 0 &&", "cell_x >= -99 &&"),
        *("fibers", "heap-buffer-overflow"),
    ),
    "NaN to integer": (
        *("common.cuh", "inside ? floorf(y) : 0", "floorf(y)"),
        *("fibers", "outside the range of representable values"),
    ),
    "writing past the taps": (
        *("backward.cu", "offset_sums[PLACES][2 * K]", "offset_sums[PLACES][2 * K - 2]"),
        *("fibers", "out of bounds"),
    ),
    "lane leaves before a shuffle": (
        *("forward.cu", "const Here here(sizes);", "const Here here(sizes); if (!here.active) return;"),
        *("fibers", "a lane left the kernel while its warp waits"),
    ),
    "half a warp at another barrier": (
        *("forward.cu", "        __syncwarp();\n        if", "        if (here.lane % 2) __syncwarp();\n        if"),
        *("fibers", "KERNEL FAULT"),
    ),
    "addition without atomicity": (
        *("common.cuh", "atomicAdd(to + v, values[v])", "to[v] += values[v]"),
        *("threads", "data race"),
    ),
    "no wait for shared memory": (
        *("backward.cu", "        __syncwarp();\n", ""),
        *("threads", "data race"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, build: Callable, make_problem: Callable, tmp_path: Path) -> None:
    name, present, planted, engine, words = FAULTS[fault]
    kernels = tmp_path / fault.replace(" ", "_")
    shutil.copytree(KERNELS / "gpu", kernels)
    source = (kernels / name).read_text()
    assert present in source
    (kernels / name).write_text(source.replace(present, planted))
    settings = Settings(3, "mean")
    # 15 places and 8 places in a block: the second block has lanes without work.
    problem = make_problem((1, 32, 3, 5), settings, FLOAT)
    write_problem(tmp_path / "in", problem, settings)
    constants = cuda.constants(settings, FLOAT, 32, True, False)._replace(threads=64)
    result = run_harness(build(engine, constants, kernels), tmp_path / "in", tmp_path / "out", 1)
    assert result.returncode != 0
    assert words in result.stderr
