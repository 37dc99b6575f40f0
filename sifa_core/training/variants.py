"""The same recipe with one thing changed, several seeds each, measured on the same test clips and told by speed.

`python -m sifa_core.training.variants CONFIG run.steps=800 --variant sifa model.fields.temporal=sifa \\
    --variant plain model.fields.temporal=none --seeds 0 1 2 -o runs/comparison`

Overrides for all runs come right after CONFIG. Every run is a folder NAME-SEED that a later call goes on with, or takes
as it is if it is finished.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sifa_core.errors import ConfigError, SifaError
from sifa_core.training.evaluation import TEST_CLIPS, evaluate_checkpoint
from sifa_core.training.loop import train
from sifa_core.training.recipe import load_config

Results = dict[str, list[dict[str, Any]]]
"""Variant -> the evaluation of each seed, as `Evaluation.to_dict` makes it."""


def compare(
    config: str | Path,
    variants: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    clips: int = TEST_CLIPS,
    control: str = "none",
    say: Callable[[str], None] = print,
) -> Results:
    """Train and measure every variant with every seed, and write `out`/comparison.json and .md, or comparison_CONTROL.

    Args:
        config: the recipe, of kind motion15.
        variants: name -> overrides that make the variant.
        seeds: of weights, order and clips, test clips too; all variants of a seed see the same clips.
        out: folder for the runs.
        overrides: for all runs.
        clips: test clips of every run.
        control: "between" for test clips that move only between feature frames; see `evaluate_checkpoint`.
        say: told what is being done.

    Raises ConfigError, TrainingError and what else `train` and `evaluate_checkpoint` raise.
    """
    if not variants or not seeds:
        raise ConfigError("A comparison needs at least one variant and one seed.")
    results: Results = {name: [] for name in variants}
    suffix = "" if control == "none" else f"_{control}"
    for seed in seeds:
        for name, own in variants.items():
            say(f"{name}, seed {seed}")
            folder = Path(out) / f"{name}-{seed}"
            fixed = [f"run.seed={seed}", f"data.seed={seed}", f"run.out={folder}"]
            run = load_config(config, [*overrides, *own, *fixed])
            test = folder / f"test{suffix}" / "evaluation.json"
            if not test.exists():
                evaluate_checkpoint(train(run, quiet=True).checkpoint, size=clips, control=control, out=test.parent)
            results[name].append(json.loads(test.read_text(encoding="utf-8")))
    (Path(out) / f"comparison{suffix}.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    (Path(out) / f"comparison{suffix}.md").write_text(table(results), encoding="utf-8")
    return results


def table(results: Results) -> str:
    """Markdown: top-1 in per cent by speed and over all, and top-5.

    Means over seeds, with their standard deviation where there are several; clips of all seeds are counted.
    """
    first = next(iter(results.values()))
    lines = ["| speed | clips | " + " | ".join(results) + " |", "|---" * (2 + len(results)) + "|"]
    for speed in dict.fromkeys(speed for run in first for speed in run["by_speed"]):
        found = {
            name: [run["by_speed"][speed] for run in runs if speed in run["by_speed"]] for name, runs in results.items()
        }
        cells = [_spread([row["accuracy"] for row in rows]) for rows in found.values()]
        count = sum(row["clips"] for row in next(iter(found.values())))
        lines.append(f"| {speed} | {count} | {' | '.join(cells)} |")
    videos = sum(run["videos"] for run in first)
    for title, key in (("**all**", "top1"), ("all, top-5", "top5")):
        if any(key not in run for runs in results.values() for run in runs):
            continue  # an older evaluation, which has no top-5
        cells = [_spread([run[key] for run in runs]) for runs in results.values()]
        lines.append(f"| {title} | {videos} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(fractions: Sequence[float]) -> str:
    spread = f" ± {100 * np.std(fractions, ddof=1):.1f}" if len(fractions) > 1 else ""
    return f"{100 * np.mean(fractions):.1f}{spread}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train variants of a recipe with several seeds and compare them.")
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for all runs")
    parser.add_argument("--variant", nargs="+", action="append", required=True, metavar=("NAME", "KEY=VALUE"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=TEST_CLIPS, help="test clips (default 3000)")
    parser.add_argument("--control", default="none", help="between: test clips that move only between feature frames")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        print(
            table(
                compare(
                    options.config,
                    {name: own for name, *own in options.variant},
                    options.seeds,
                    options.out,
                    overrides=options.overrides,
                    clips=options.clips,
                    control=options.control,
                )
            )
        )
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error
