"""Times the operator and whole models on this machine, everything in one run, so that ratios mean something.

    python -m sifa_core bench

Writes results.json and results.md. Formulations take turns of two calls, the second of which counts, so a
disturbance hits all of them and nobody pays for the caches that another has filled; figures are medians.
On a machine that is busy with other work medians mostly show that; the fastest times, kept beside them, show it least.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import ceilings, formulations, report
from sifa_core.ops import backend

CLIPS = (1, 8)
_CONTIGUOUS = "grid_sample, contiguous"


def run(
    folder: Path,
    readme: Path | None = None,
    *,
    quick: bool = False,
    with_compile: bool = True,
    with_models: bool = True,
) -> str:
    """Measure, write results.json and results.md into `folder`, update the tables in `readme`, return all tables.

    `quick` makes few repeats with one clip, to see that everything runs; torch.compile takes minutes by itself.
    """
    results = measure(quick, with_compile, with_models)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    table = report.markdown(results)
    (folder / "results.md").write_text(table)
    if readme is not None:
        report.update_readme(readme, results)
    return table


def measure(quick: bool, with_compile: bool, with_models: bool) -> dict[str, Any]:
    """All figures, as what results.json holds."""
    ceiling = ceilings.measure()
    rows = []
    for stage, (pairs, *rest) in formulations.SHAPES.items():
        for clips in CLIPS[:1] if quick else CLIPS:
            print(f"{stage}, {clips} clip(s) ...", file=sys.stderr)
            shape = (pairs * clips, *rest)
            repeats = 3 if quick else 15 if clips == 1 else 7
            times = _time_operator(shape, repeats, with_compile)  # type: ignore[arg-type]
            rows.append(_operator_row(stage, clips, shape, times, ceiling))  # type: ignore[arg-type]
    return {
        "machine": _machine(),
        "ceilings": ceiling._asdict(),
        "operator": rows,
        "models": _time_models(2 if quick else 5) if with_models else [],
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "backend": backend(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _once(function: Callable[[], object]) -> float:
    """Seconds of the second of two calls: the first finds caches and heap as another formulation left them."""
    function()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _time_operator(shape: tuple[int, int, int, int], repeats: int, with_compile: bool) -> dict[str, dict[str, float]]:
    """Seconds of "forward" and "both" for each formulation: the median, and the fastest under "..._fastest"."""
    candidates: dict[str, formulations.Formulation] = {
        "ours": formulations.ours,
        "grid_sample": formulations.by_grid_sample,
        _CONTIGUOUS: formulations.by_grid_sample,
        "dense": formulations.by_dense,
    }
    convolution = formulations.by_deform_conv2d()
    if convolution:
        candidates["deform_conv2d"] = convolution
    if with_compile:
        candidates["compiled reference"] = formulations.by_compiled_reference()
    times: dict[str, dict[str, list[float]]] = {name: {"forward": [], "both": []} for name in candidates}
    given = formulations.make_inputs(shape, torch.float32)
    for repeat in range(repeats + 2):
        for name, function in candidates.items():
            tensors = [t.contiguous() for t in given] if name == _CONTIGUOUS else given
            inputs, grad = [t.detach().requires_grad_() for t in tensors[:3]], tensors[3]

            def forward(function: formulations.Formulation = function, inputs: list[torch.Tensor] = inputs) -> None:
                with torch.no_grad():
                    function(*inputs)

            def both(
                function: formulations.Formulation = function,
                inputs: list[torch.Tensor] = inputs,
                grad: torch.Tensor = grad,
            ) -> None:
                function(*inputs)[0].backward(grad)

            taken = {"forward": _once(forward), "both": _once(both)}
            if repeat >= 2:
                for kind, seconds in taken.items():
                    times[name][kind].append(seconds)
    return {
        name: {
            **{kind: statistics.median(values) for kind, values in kinds.items()},
            **{f"{kind}_fastest": min(values) for kind, values in kinds.items()},
        }
        for name, kinds in times.items()
    }


def _operator_row(
    stage: str,
    clips: int,
    shape: tuple[int, int, int, int],
    times: dict[str, dict[str, float]],
    ceiling: ceilings.Ceilings,
) -> dict[str, Any]:
    roofline = {}
    for kind in ("forward", "both"):
        todo = ceilings.work(shape, formulations.KERNEL_SIZE, kind == "both")
        roofline[kind] = {**todo._asdict(), "shares": ceilings.shares(todo, times["ours"][f"{kind}_fastest"], ceiling)}
    return {"stage": stage, "clips": clips, "shape": shape, "seconds": times, "roofline": roofline}


def _time_models(repeats: int) -> list[dict[str, Any]]:
    """SIFA-Net-50 and the same network without SIFA on one clip of 16x256x256, forward only."""
    from sifa_core import create_model

    names: dict[str, dict[str, str]] = {"SIFA-Net-50": {}, "ResNet-50": {"temporal": "none"}}
    models = {name: create_model("sifa_net_r50", **switches).eval() for name, switches in names.items()}
    clip = torch.randn(1, 3, 16, 256, 256)
    times: dict[str, list[float]] = {name: [] for name in models}
    print("whole models ...", file=sys.stderr)
    with torch.no_grad():
        for repeat in range(repeats + 1):
            for name, model in models.items():
                seconds = _once(functools.partial(model, clip))
                if repeat:
                    times[name].append(seconds)
    return [
        {"model": name, "seconds": statistics.median(values), "fastest": min(values)} for name, values in times.items()
    ]
