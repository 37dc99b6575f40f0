"""Times the operator and whole models on this machine, everything in one run, so that ratios mean something.

    python -m sifa_core bench

Writes results.json and results.md. Figures are medians, taken by `harness.measure`. On a machine that is busy with
other work medians mostly show that; the fastest times, noted beside them, show it least.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks import ceilings, formulations, harness, report
from sifa_core.ops import backend

CLIPS = (1, 8)


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


def _candidates(
    shape: tuple[int, int, int, int], with_compile: bool
) -> dict[str, tuple[harness.Function, harness.Inputs]]:
    """Formulations by name, each with query, memory, offset and gradient to time it on."""
    given = formulations.make_inputs(shape, torch.float32)
    contiguous = tuple(t.contiguous() for t in given)
    candidates: dict[str, tuple[harness.Function, harness.Inputs]] = {"ours": (formulations.ours, given)}
    for dtype in (torch.bfloat16, torch.float16):
        candidates[f"ours, {str(dtype).removeprefix('torch.')}"] = (
            formulations.ours,
            formulations.make_inputs(shape, dtype),
        )
    candidates["grid_sample"] = (formulations.by_grid_sample, given)
    candidates["grid_sample, contiguous"] = (formulations.by_grid_sample, contiguous)
    candidates["dense"] = (formulations.by_dense, given)
    convolution = formulations.by_deform_conv2d()
    if convolution:
        candidates["deform_conv2d"] = (convolution, contiguous)  # the layout that it computes in
    if with_compile:
        candidates["compiled reference"] = (formulations.by_compiled_reference(), given)
    return candidates


def _time_operator(shape: tuple[int, int, int, int], repeats: int, with_compile: bool) -> dict[str, dict[str, float]]:
    """Seconds of "forward" and "both" for each formulation: the median, and the fastest under "..._fastest"."""
    calls = {}
    for name, (function, (*inputs, grad)) in _candidates(shape, with_compile).items():
        calls[f"{name}/forward"] = harness.forward(function, tuple(inputs))
        calls[f"{name}/both"] = harness.forward_and_backward(function, tuple(inputs), grad)
    seconds: dict[str, dict[str, float]] = {}
    for key, times in harness.measure(calls, "cpu", repeats).items():
        name, kind = key.split("/")
        seconds.setdefault(name, {}).update({kind: times.median, f"{kind}_fastest": times.fastest})
    return seconds


def _operator_row(
    stage: str,
    clips: int,
    shape: tuple[int, int, int, int],
    times: dict[str, dict[str, float]],
    ceiling: ceilings.Ceilings,
) -> dict[str, Any]:
    roofline: dict[str, Any] = {}
    for kind in ("forward", "both"):
        todo = ceilings.work(shape, formulations.KERNEL_SIZE, kind == "both")
        roofline[kind] = {
            **todo._asdict(),
            "fractions": ceilings.fractions(todo, times["ours"][f"{kind}_fastest"], ceiling),
        }
    roofline["limit"] = ceilings.limit(shape, formulations.KERNEL_SIZE, ceiling)
    return {"stage": stage, "clips": clips, "shape": shape, "seconds": times, "roofline": roofline}


def _time_models(repeats: int) -> list[dict[str, Any]]:
    """SIFA-Net-50 and the same network without SIFA on one clip of 16x256x256, forward only."""
    from sifa_core import create_model

    names: dict[str, dict[str, str]] = {"SIFA-Net-50": {}, "ResNet-50": {"temporal": "none"}}
    models = {name: create_model("sifa_net_r50", **fields).eval() for name, fields in names.items()}
    clip = torch.randn(1, 3, 16, 256, 256)
    print("whole models ...", file=sys.stderr)
    calls = {name: harness.forward(model, (clip,)) for name, model in models.items()}
    times = harness.measure(calls, "cpu", repeats)
    return [{"model": name, "seconds": taken.median, "fastest": taken.fastest} for name, taken in times.items()]
