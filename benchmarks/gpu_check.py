"""Tries the GPU back end on this machine's GPU and writes a report, line by line, so that a stop loses nothing.

    python -m benchmarks.gpu_check [-o FOLDER] [--seconds 420]

Needs PyTorch and pytest; torchvision is compared with where it is there. First the tests marked `gpu` (parity and
gradients, streams, graphs, compiled and autocast training), then times, by replay of CUDA graphs over copies of the
inputs that do not fit the second-level cache: forward and backward at 4, 56 and 120 frame pairs, beside a copy of as
many bytes as each must move, grid_sample, what torch.compile makes of it, and deform_conv2d; then whole networks.
Parts that would begin after --seconds are left out, and the report says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.formulations import (
    KERNEL_SIZE,
    SHAPES,
    Formulation,
    by_deform_conv2d,
    by_grid_sample,
    make_inputs,
    ours,
)
from benchmarks.harness import Call, Times, forward, forward_and_backward, measure
from sifa_core.ops import backend, nvrtc
from sifa_core.ops.build import BuildError

ROOT = Path(__file__).resolve().parents[1]
PAIRS = (56, 120, 4)
"""Frame pairs: 14 and 30 clips of 16 frames, which fill a card, and one clip, which does not."""
DTYPES = (torch.float32, torch.bfloat16)
REPEATS = 20
GOALS = {"forward": 1.5, "backward": 4.0, "compiled": 5.0}
"""Forward and backward at res3 with 56 pairs: at most so many times the copy of their bytes; compiled grid_sample takes
at least so many times as long as ours, at every shape."""
SLOW = "compiled grid_sample"


class Report:
    """A Markdown file and standard output, flushed after every line; figures as JSON beside it."""

    def __init__(self, folder: Path, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.end = folder, time.monotonic() + seconds
        self.figures: dict[str, Any] = {}
        self._file = (folder / "gpu_results.md").open("w", encoding="utf-8")

    def line(self, text: str = "") -> None:
        print(text, flush=True)
        print(text, file=self._file, flush=True)

    def keep(self, key: str, value: Any) -> None:
        """Add a figure to gpu_results.json."""
        self.figures[key] = value
        (self.folder / "gpu_results.json").write_text(json.dumps(self.figures, indent=1) + "\n")

    def has_time(self, what: str, needed: float = 0.0) -> bool:
        """Whether `needed` more seconds are left; if not, the report says what is missing."""
        if time.monotonic() + needed < self.end:
            return True
        self.line(f"Left out for want of time: {what}.")
        return False

    @contextlib.contextmanager
    def part(self, what: str, needed: float = 0.0) -> Iterator[bool]:
        """A part of the report: an error in it becomes a line, and the next part begins."""
        try:
            yield self.has_time(what, needed)
        except Exception as error:
            self.line(f"{what} failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def compiler() -> str:
    """NVRTC's version, or why there is none."""
    try:
        return f"NVRTC {nvrtc.version()}"
    except BuildError as error:
        return f"no compiler: {error}"


def describe_machine(report: Report) -> None:
    """What the figures are of."""
    free, total = torch.cuda.mem_get_info()
    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    used = {str(dtype)[6:]: backend("cuda", dtype) for dtype in (*DTYPES, torch.float16)}
    report.line(
        f"- {name}, capability {capability[0]}.{capability[1]}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    )
    report.line(
        f"- torch {torch.__version__}, CUDA {torch.version.cuda}, {compiler()}, Python {platform.python_version()}"
    )
    report.line(f"- back end in use: {', '.join(f'{dtype} {what}' for dtype, what in used.items())}")
    report.keep("machine", {"device": name, "torch": torch.__version__, "compiler": compiler(), "backends": used})


def run_tests(report: Report) -> int:
    """The tests marked gpu in a process of their own; their last lines go into the report."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/cuda/test_gpu.py", "-p", "no:cacheprovider"]
    command += ["--confcutdir=tests/cuda", "-o", "addopts=--import-mode=importlib", "--maxfail=12"]
    if find_spec("xdist"):  # most of the time goes into compiling, which has a processor each
        command += ["-n", "8"]
    start = time.monotonic()
    log = report.folder / "gpu_tests.log"
    with log.open("w") as output:
        limit = max(30.0, report.end - time.monotonic() - 60)
        try:
            status = subprocess.run(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, timeout=limit
            ).returncode
        except subprocess.TimeoutExpired:
            status = 1
    lines = log.read_text().strip().splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    report.line(f"\nTests: {lines[-1] if lines else 'no output'} ({time.monotonic() - start:.0f} s in all)")
    for line in failures:
        report.line(f"- {line}")
    report.keep("tests", {"status": status, "last_line": lines[-1] if lines else "", "failures": failures})
    return status


def bytes_moved(shape: tuple[int, int, int, int], dtype: torch.dtype) -> dict[str, int]:
    """Bytes that must be read and written if every input is read once and every result is written once."""
    batch, channels, height, width = shape
    places, taps, size = batch * height * width, KERNEL_SIZE**2, dtype.itemsize
    maps, points = places * channels * size, places * taps * size
    # Forward: query, memory, aggregate; offsets, weights.
    # Backward: query, memory, grad, gradients of query and memory; offsets, weights, gradient of offsets.
    return {"forward": 3 * maps + 3 * points, "backward": 5 * maps + 5 * points}


def copy_of(size: int) -> Call:
    """A copy that reads and writes `size` bytes together."""
    source = torch.empty(size // 2, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return Call(lambda a, b: b.copy_(a), (source, target))


def time_shape(
    shape: tuple[int, int, int, int], dtype: torch.dtype, others: dict[str, Formulation]
) -> dict[str, dict[str, float]]:
    """Seconds, medians: forward, both directions, and their difference as the backward; ours, the copy and others."""
    given = tuple(t.cuda() for t in make_inputs(shape, dtype))
    inputs, grad = given[:3], given[3]
    found: dict[str, dict[str, float]] = {}
    for name, function in {"ours": ours, **others}.items():
        if name == "deform_conv2d" and dtype is torch.bfloat16:
            continue  # it has no kernel for it
        tensors, direction = inputs, grad
        if name.endswith("contiguous"):
            tensors, direction = tuple(t.contiguous() for t in inputs), grad.contiguous()
        calls = {
            "forward": forward(function, tensors),
            "both": forward_and_backward(function, tensors, direction),
        }
        times = measure(calls, "cuda", REPEATS)
        found[name] = {kind: each.median for kind, each in times.items()}
        found[name]["backward"] = found[name]["both"] - found[name]["forward"]
    moved = bytes_moved(shape, dtype)
    copies: dict[str, Times] = measure({kind: copy_of(size) for kind, size in moved.items()}, "cuda", REPEATS)
    found["copy"] = {kind: each.median for kind, each in copies.items()}
    return found


def _cell(times: dict[str, float], own: dict[str, float]) -> str:
    text = f"{1e6 * times['forward']:.0f} / {1e6 * times['backward']:.0f}"
    if times is own:
        return text
    return f"{text} ({times['forward'] / own['forward']:.1f}x / {times['backward'] / own['backward']:.1f}x)"


def time_operator(report: Report) -> list[tuple[str, int, torch.dtype, dict[str, dict[str, float]]]]:
    """The table of times, a row as soon as it is measured."""
    others: dict[str, Formulation] = {"grid_sample": by_grid_sample, "grid_sample, contiguous": by_grid_sample}
    convolution = by_deform_conv2d()
    if convolution is not None:
        others["deform_conv2d"] = convolution
    names = ["ours", "copy", *others, SLOW]
    report.line("\nMicroseconds, medians, forward / backward; in brackets how many times longer than ours.\n")
    report.line(f"| stage | pairs | dtype | {' | '.join(names)} |")
    report.line("|---" * (len(names) + 3) + "|")
    rows = []
    for pairs in PAIRS:
        for stage, (_, *rest) in SHAPES.items():
            for dtype in DTYPES:
                what = f"{stage}, {pairs} pairs, {str(dtype)[6:]}"
                with report.part(what, 5) as on_time:
                    if not on_time:
                        continue
                    shape = (pairs, *rest)
                    found = time_shape(shape, dtype, others)  # type: ignore[arg-type]
                    if report.has_time(f"{SLOW}, {what}", 40):
                        compiled: Formulation = torch.compile(by_grid_sample, dynamic=False)
                        found |= {SLOW: time_shape(shape, dtype, {SLOW: compiled})[SLOW]}  # type: ignore[arg-type]
                        torch._dynamo.reset()
                    own = found["ours"]
                    cells = [_cell(found[name], own) if name in found else "-" for name in names]
                    report.line(f"| {stage} | {pairs} | {str(dtype)[6:]} | {' | '.join(cells)} |")
                    rows.append((stage, pairs, dtype, found))
                    report.keep(what, found)
                torch.cuda.empty_cache()
    return rows


def judge(report: Report, rows: Sequence[tuple[str, int, torch.dtype, dict[str, dict[str, float]]]]) -> None:
    """One line of verdict for each goal."""
    report.line("")
    for stage, pairs, dtype, found in rows:
        if (stage, pairs) == ("res3", 56):
            for kind in ("forward", "backward"):
                ratio = found["ours"][kind] / found["copy"][kind]
                word = "reached" if ratio <= GOALS[kind] else "missed"
                report.line(
                    f"- {kind}, res3, 56 pairs, {str(dtype)[6:]}: {ratio:.2f} times the copy of its bytes "
                    f"(goal {GOALS[kind]:g}: {word})"
                )
    compared = [(f"{s} x{p} {str(d)[6:]}", f[SLOW]["both"] / f["ours"]["both"], f) for s, p, d, f in rows if SLOW in f]
    if compared:
        name, least, _ = min(compared, key=lambda each: each[1])
        word = "reached" if least >= GOALS["compiled"] else "missed"
        report.line(
            f"- {SLOW} takes at least {least:.1f} times as long as ours, both directions together, over "
            f"{len(compared)} shapes (least at {name}; goal {GOALS['compiled']:g}: {word})"
        )


def time_networks(report: Report) -> None:
    """SIFA-Net-50 and the plain network: inference and a training step of 8 clips of 16 x 224 x 224, bfloat16."""
    from sifa_core import create_model

    clip = torch.randn(8, 3, 16, 224, 224, device="cuda")
    report.line("\n| 8 clips, 16x224x224, bfloat16 autocast | inference, ms | training step, ms |")
    report.line("|---|---|---|")
    for name, temporal in (("SIFA-Net-50", "sifa"), ("ResNet-50", "none")):
        model = create_model("sifa_net_r50", temporal=temporal, num_classes=400).cuda()
        labels = torch.zeros(8, dtype=torch.long, device="cuda")

        def step(model: torch.nn.Module = model, labels: torch.Tensor = labels) -> None:
            with torch.autocast("cuda", torch.bfloat16):
                logits = model(clip)
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            model.zero_grad(set_to_none=True)

        def infer(model: torch.nn.Module = model) -> None:
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
                model(clip)

        model.eval()
        inference = _milliseconds(infer)
        model.train()
        training = _milliseconds(step)
        report.line(f"| {name} | {inference:.1f} | {training:.1f} |")
        report.keep(name, {"inference_ms": inference, "training_ms": training})
        del model
        torch.cuda.empty_cache()


def _milliseconds(function: Callable[[], None], repeats: int = 10) -> float:
    """Median of whole calls, which are far longer than their launch."""
    for _ in range(4):
        function()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; the exit code is that of the tests, or 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description="Try the GPU back end on this machine's GPU and write a report.")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "benchmarks", metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=420, help="what begins later is left out (default 420)")
    parser.add_argument("--no-tests", action="store_true", help="times only")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("gpu_check needs a CUDA device, and PyTorch sees none here.", file=sys.stderr)
        return 2
    report = Report(options.out, options.seconds)
    describe_machine(report)
    status = 0 if options.no_tests else run_tests(report)
    rows = time_operator(report)
    with report.part("whole networks", 20) as on_time:
        if on_time:
            time_networks(report)
    judge(report, rows)
    return status


if __name__ == "__main__":
    sys.exit(main())
