"""Registers, shared memory and spills of the GPU kernels on every architecture that nvcc knows; needs no GPU.

    python -m benchmarks.kernel_report

prints a Markdown table. A spill or a stack frame means that values meant for registers go through memory.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch

from sifa_core.ops import cuda
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import KERNELS

SOURCES = ("forward.cu", "backward.cu", "memory.cu")
PAIRS = 56
"""Frame pairs; constants depend on how well they fill a GPU, here one of 132 multiprocessors."""
_KERNEL = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
_MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


class Row(NamedTuple):
    """What one kernel uses on one architecture; sizes in bytes, registers per thread."""

    kernel: str
    architecture: int
    registers: int
    shared: int
    stack: int
    spills: int


def find_nvcc() -> str | None:
    """Path of nvcc, or None."""
    return shutil.which("nvcc")


def architectures(nvcc: str) -> list[int]:
    """Compute capabilities, ascending, that this nvcc makes binaries for and the kernels support (Turing onwards)."""
    listed = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True).stdout
    return sorted({int(number) for number in re.findall(r"sm_(\d+)\b", listed) if int(number) >= 75})


def report(nvcc: str, constants: cuda.Constants, targets: list[int]) -> list[Row]:
    """One row per kernel and architecture. Raises CalledProcessError where nvcc refuses a source.

    All sources are one unit, since nvcc reads its own headers once a unit and architecture, which takes longest.
    """
    codes = [f"-gencode=arch=compute_{target},code=sm_{target}" for target in targets]
    with tempfile.TemporaryDirectory() as folder:
        unit = Path(folder) / "kernels.cu"
        unit.write_text("".join(f'#include "{source}"\n' for source in SOURCES), encoding="utf-8")
        command = [nvcc, "-std=c++17", "-Werror", "all-warnings", "-fatbin", "-Xptxas", "-v", "--threads", "2"]
        command += [*codes, *constants.options(), f"-I{KERNELS / 'gpu'}", str(unit), "-o", f"{unit}.fatbin"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    return parse(result.stdout + result.stderr)


def parse(log: str) -> list[Row]:
    """Rows from what ptxas prints: for each kernel its name, then its stack and spills, then its registers."""
    rows: list[Row] = []
    name, architecture, stack, spills = "", 0, 0, 0
    for line in log.splitlines():
        if found := _KERNEL.search(line):
            name, architecture, stack, spills = found[1], int(found[2]), 0, 0
        elif found := _MEMORY.search(line):
            stack, spills = int(found[1]), int(found[2]) + int(found[3])
        elif found := _USED.search(line):
            rows.append(Row(name, architecture, int(found[1]), int(found[2] or 0), stack, spills))
    return sorted(rows)


def main() -> None:
    """Print the table for the shapes of SIFA-Net-50's stages, in float32 and 16 bits."""
    nvcc = find_nvcc()
    if nvcc is None:
        raise SystemExit("nvcc is not on PATH, so there is no report.")
    targets = architectures(nvcc)
    print("| kernel | channels | storage | sm | registers | shared bytes | stack bytes | spill bytes |")
    print("|---|---|---|---|---|---|---|---|")
    for channels, side in ((128, 28), (256, 14), (512, 7)):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            chosen = cuda.constants(Settings(3, "mean"), dtype, dtype, (PAIRS, channels, side, side), 16, 132)
            for row in report(nvcc, chosen, targets):
                used = f"{row.registers} | {row.shared} | {row.stack} | {row.spills}"
                print(f"| {row.kernel} | {channels} | {dtype} | {row.architecture} | {used} |")


if __name__ == "__main__":
    main()
