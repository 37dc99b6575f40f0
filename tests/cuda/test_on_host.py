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
from sifa_core.ops.arguments import BackwardInputs, Settings
from sifa_core.ops.build import KERNELS, problem_structure

FLOAT, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16
# Shape, settings, data types of features and offsets, alignment of addresses, what differs from the usual constants.
CASES = {
    "one place in eight lanes": ((2, 32, 4, 5), Settings(3, "mean"), FLOAT, FLOAT, 16, {}),
    "two octets, several tiles": ((2, 72, 5, 9), Settings(3, "none"), FLOAT, FLOAT, 16, {"lanes": 16, "rows": 2}),
    "odd channels, softmax": ((1, 33, 3, 5), Settings(3, "softmax"), FLOAT, FLOAT, 4, {}),
    "half, even kernel": ((1, 128, 4, 3), Settings(2, "mean"), HALF, FLOAT, 16, {"lanes": 8}),
    "bfloat16, large kernel": ((1, 48, 3, 3), Settings(5, "softmax"), BRAIN, BRAIN, 16, {}),
    "bfloat16, four bytes a load": ((1, 34, 3, 5), Settings(3, "mean"), BRAIN, BRAIN, 16, {"lanes": 16}),
    "half, single loads, wide numbers": ((1, 33, 3, 4), Settings(3, "mean"), HALF, HALF, 2, {"wide": 1}),
    "largest kernel, one channel": ((1, 1, 3, 3), Settings(9, "mean"), FLOAT, FLOAT, 4, {}),
    "as many channels as there may be": ((1, 1024, 2, 2), Settings(3, "softmax"), FLOAT, FLOAT, 16, {}),
    "half, many channels": ((1, 1000, 1, 2), Settings(3, "mean"), HALF, FLOAT, 16, {}),
}


def constants_of(case: str) -> cuda.Constants:
    shape, settings, dtype, offset_dtype, alignment, changes = CASES[case]
    chosen = cuda.constants(settings, dtype, offset_dtype, shape, alignment)
    return chosen._replace(threads=64, **changes)


def rows(tensor: torch.Tensor) -> bytes:
    """The tensor's numbers in channels_last order."""
    return tensor.permute(0, 2, 3, 1).reshape(-1).view(torch.uint8).numpy().tobytes()


def write_problem(path: Path, problem: tuple[torch.Tensor, ...], settings: Settings) -> None:
    images, channels, height, width = problem[0].shape
    places = height * width
    described = problem_structure("gpu")(
        *(images, height, width, min(cuda.STRIP, width), 32),
        *(places * channels, places * channels, places * 2 * settings.taps, settings.factor(channels)),
    )
    path.write_bytes(bytes(described) + b"".join(rows(tensor) for tensor in problem))


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
        *((channels, query.dtype), (channels, query.dtype), (offset.shape[1], offset.dtype)),
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
    grads = reference.attention_backward(BackwardInputs(grad.double(), grad_weights.double(), *exact, stored), settings)
    tolerance = {FLOAT: 2e-6, HALF: 2e-3, BRAIN: 1.6e-2}[query.dtype]
    for a, b in zip(results, (*outputs, *grads), strict=True):
        assert (a.double() - b).abs().max() <= tolerance * b.abs().max()


def make(case: str, make_problem: Callable, shape: tuple[int, ...] | None = None) -> tuple[torch.Tensor, ...]:
    usual, settings, dtype, offset_dtype, *_ = CASES[case]
    query, memory, offset, *others = make_problem(shape or usual, settings, dtype)
    return query, memory, offset.to(offset_dtype), *others


@pytest.mark.parametrize("case", CASES)
def test_address_and_undefined_behaviour(case: str, build: Callable, make_problem: Callable, tmp_path: Path) -> None:
    settings, problem = CASES[case][1], make(case, make_problem)
    write_problem(tmp_path / "in", problem, settings)
    program = build("fibers", constants_of(case))
    for seed in (1, 2, 3):
        result = run_harness(program, tmp_path / "in", tmp_path / "out", seed)
        assert result.returncode == 0, result.stderr
        assert_right(read_result(tmp_path / "out", problem, settings), problem, settings)


@pytest.mark.parametrize("case", ["one place in eight lanes", "odd channels, softmax", "half, even kernel"])
def test_races(case: str, build: Callable, make_problem: Callable, tmp_path: Path) -> None:
    settings, channels = CASES[case][1], CASES[case][0][1]
    problem = make(case, make_problem, (1, channels, 2, 2))
    write_problem(tmp_path / "in", problem, settings)
    result = run_harness(build("threads", constants_of(case)), tmp_path / "in", tmp_path / "out", 1)
    assert result.returncode == 0, result.stderr
    assert_right(read_result(tmp_path / "out", problem, settings), problem, settings)


# File, what stands there, what is planted, engine, what the report must say.
FAULTS = {
    "one row too far": (
        *("points.cuh", "cell[1] = max(min(first + 1, size - 1), 0);", "cell[1] = first + 1;"),
        *("fibers", "heap-buffer-overflow"),
    ),
    "one column too early": (
        *("points.cuh", "cell[0] = max(first, 0);", "cell[0] = first;"),
        *("fibers", "heap-buffer-overflow"),
    ),
    "NaN to integer": (
        *("points.cuh", "inside ? y : -2.0f", "y"),
        *("fibers", "outside the range of representable values"),
    ),
    "writing past the taps": (
        *("forward.cu", "all_logits[WARPS][PLACES][K]", "all_logits[WARPS][PLACES][K - 2]"),
        *("fibers", "global-buffer-overflow"),
    ),
    "a cell beside the tile": (
        *("memory.cu", "x >= 0 && x < TILE_COLUMNS", "x >= -99 && x < 99"),
        *("fibers", "global-buffer-overflow"),
    ),
    "lane leaves before a shuffle": (
        *("forward.cu", "const Here here(problem);", "const Here here(problem); if (!here.active) return;"),
        *("fibers", "a lane left the kernel while its warp waits"),
    ),
    "half a warp at another barrier": (
        *("forward.cu", "    __syncwarp();\n", "    if (here.lane % 2) __syncwarp();\n"),
        *("fibers", "KERNEL FAULT"),
    ),
    "half a block at another barrier": (
        *(
            "memory.cu",
            "            __syncthreads();\n            for",
            "            if (thread < 32) __syncthreads();\n            for",
        ),
        *("fibers", "KERNEL FAULT"),
    ),
    "no wait for the other shares": (
        *("memory.cu", "            __syncthreads();\n        }", "        }"),
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
    # 27 places and 8 places in a block: lanes of the last block have no work. Two tiles, two warps in each block.
    shape = (1, 72, 3, 9) if engine == "fibers" else (1, 72, 2, 4)
    problem = make_problem(shape, settings, FLOAT)
    write_problem(tmp_path / "in", problem, settings)
    constants = cuda.constants(settings, FLOAT, FLOAT, shape)._replace(threads=64, lanes=8)
    result = run_harness(build(engine, constants, kernels), tmp_path / "in", tmp_path / "out", 1)
    assert result.returncode != 0
    assert words in result.stderr
