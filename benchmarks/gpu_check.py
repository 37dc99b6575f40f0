"""Tries the GPU back end on this machine's GPU and prints a report to share.

    python -m benchmarks.gpu_check

Runs the tests marked `gpu`, then times forward and backward against grid_sample and the portable form. The kernels were
written and tested on machines without a GPU; what this prints is the only evidence of how they do on one.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.formulations import SHAPES, by_grid_sample, make_inputs
from sifa_core.ops import backend, dense, nvrtc, sifa_attention
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import BuildError

_ROOT = Path(__file__).resolve().parents[1]


def _tests() -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/cuda/test_gpu.py", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    print("```")
    print("\n".join((result.stdout + result.stderr).strip().splitlines()[-25:]))
    print("```")
    return result.returncode


def _compiler() -> str:
    """NVRTC's version and targets, or why there is none."""
    try:
        return f"NVRTC {nvrtc.version()}, binaries for {', '.join(map(str, nvrtc.architectures()))}"
    except BuildError as error:
        return f"no compiler: {error}"


def _milliseconds(function: Callable[[], object], repeats: int = 50) -> float:
    """Median time of one call on the device."""
    for _ in range(5):
        function()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def _row(shape: tuple[int, int, int, int], dtype: torch.dtype) -> str:
    query, memory, offset, grad = (t.cuda() for t in make_inputs(shape, dtype))
    inputs = [t.detach().requires_grad_() for t in (query, memory, offset)]
    settings = Settings(3, "mean")

    def forward() -> None:
        with torch.no_grad():
            sifa_attention(query, memory, offset)

    def portable() -> None:
        dense.attention(query, memory, offset, settings)

    def grid_sample() -> None:
        with torch.no_grad():
            by_grid_sample(query, memory, offset)

    def both(function: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> Callable[[], None]:
        return lambda: function(*inputs)[0].backward(grad)

    timed = [forward, portable, grid_sample, both(sifa_attention), both(by_grid_sample)]
    cells = [f"{_milliseconds(function):.3f}" for function in timed]
    return f"| {'x'.join(map(str, shape))} | {str(dtype)[6:]} | {' | '.join(cells)} |"


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
    print("\nMilliseconds, median of 50; forward of ours, dense, grid_sample; then forward and backward.\n")
    print("| shape | storage | ours | dense | grid_sample | ours, with gradients | grid_sample, with gradients |")
    print("|---|---|---|---|---|---|---|")
    for shape in SHAPES.values():
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            print(_row(shape, dtype))
    return status


if __name__ == "__main__":
    sys.exit(main())
