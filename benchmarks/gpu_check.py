"""Tries the GPU back end on this machine's GPU and prints a report to share.

    python -m benchmarks.gpu_check

Runs the tests marked `gpu`, then times forward and backward beside a copy of the same bytes, grid_sample, what
torch.compile makes of it and of the definition, and torchvision's deform_conv2d, line by line. The kernels were
written and tested on machines without a GPU; what this prints is the only evidence of how they do on one.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks import harness
from benchmarks.formulations import (
    SHAPES,
    Formulation,
    by_compiled_reference,
    by_deform_conv2d,
    by_grid_sample,
    make_inputs,
    ours,
)
from sifa_core.ops import backend, nvrtc
from sifa_core.ops.build import BuildError

_ROOT = Path(__file__).resolve().parents[1]


def _tests() -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/cuda/test_gpu.py", "-p", "no:cacheprovider"]
    print("```", flush=True)
    try:
        status = subprocess.run(command, cwd=_ROOT, timeout=_TESTS_S).returncode
    except subprocess.TimeoutExpired:
        print(f"stopped after {_TESTS_S} seconds")
        status = 1
    print("```", flush=True)
    return status


def _compiler() -> str:
    """NVRTC's version and targets, or why there is none."""
    try:
        return f"NVRTC {nvrtc.version()}, binaries for {', '.join(map(str, nvrtc.architectures()))}"
    except BuildError as error:
        return f"no compiler: {error}"


_REPEATS = 15
_PAIRS = (4, 56, 120)
_TESTS_S = 240


def _copied(size: int) -> harness.Times:
    """Times of copying so many bytes: half of them read, half written."""
    source = torch.randn(size // 8, device="cuda")
    return harness.measure({"copy": harness.Call(torch.clone, (source,))}, "cuda", _REPEATS)["copy"]


def _row(stage: str, pairs: int, dtype: torch.dtype) -> str:
    _, channels, height, width = SHAPES[stage]
    shape = (pairs, channels, height, width)
    *inputs, grad = (t.cuda() for t in make_inputs(shape, dtype))
    ways: dict[str, Formulation | None] = {
        "ours": ours,
        "grid_sample": by_grid_sample,
        "compiled grid_sample": torch.compile(by_grid_sample, dynamic=False),
        "compiled definition": by_compiled_reference(),
        "deform_conv2d": by_deform_conv2d(),
    }
    cells, first = [], ""
    for name, function in ways.items():
        try:
            assert function is not None, "not there"
            calls = {
                "forward": harness.forward(function, tuple(inputs)),
                "both": harness.forward_and_backward(function, tuple(inputs), grad),
            }
            times = harness.measure(calls, "cuda", _REPEATS)
            cells.append(f"{1e6 * times['forward'].median:.1f} / {1e6 * times['both'].median:.1f}")
        except (AssertionError, RuntimeError) as error:
            cells.append(str(error).splitlines()[0][:60])
            continue
        if name == "ours":
            maps, points = grad.nbytes, pairs * 9 * height * width * dtype.itemsize
            limits = [_copied(3 * maps + 3 * points).median, _copied(8 * maps + 9 * points).median]
            first = " | ".join(f"{times[kind].median / limit:.2f}" for kind, limit in zip(calls, limits, strict=True))
    return f"| {stage} x{pairs} | {str(dtype)[6:]} | {first} | {' | '.join(cells)} |"


def main() -> int:
    """Print the report; the exit code is that of the tests, or 2 where there is no GPU."""
    if not torch.cuda.is_available():
        print("gpu_check needs a CUDA device, and PyTorch sees none here.", file=sys.stderr)
        return 2
    free, total = torch.cuda.mem_get_info()
    print(f"- device: {torch.cuda.get_device_name()}, capability {torch.cuda.get_device_capability()}")
    print(f"- memory: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free; devices: {torch.cuda.device_count()}")
    print(f"- torch {torch.__version__}, CUDA {torch.version.cuda}, Python {platform.python_version()}")
    print(f"- {_compiler()}")
    print(f"- back end in use: {backend('cuda')}\n")
    status = _tests()
    print("\nMicroseconds, medians by graph replay, forward / forward and backward; how many times as long as a copy")
    print("of the bytes that must be read and written the forward took, and forward and backward together.\n")
    print("| shape | storage | copies forward | copies both | ours | grid_sample | torch.compile of it |", end="")
    print(" torch.compile of the definition | deform_conv2d |")
    print("|---" * 9 + "|")
    for pairs in _PAIRS:
        for stage in SHAPES:
            for dtype in (torch.float32, torch.bfloat16):
                print(_row(stage, pairs, dtype), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
