"""Commands about training: `train`, `evaluate` and `make-dataset`. They need the extra "train"."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from sifa_core.commands.options import Bar, add_model_options, load, whole_number
from sifa_core.errors import ConfigError
from sifa_core.paths import shipped

SIZE_HELP = "motion15: number of clips; files: side of the crops; explanations: side of the clips in pixels"


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_train(commands)
    _add_evaluate(commands)
    _add_make_dataset(commands)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a model, or go on with a run that was stopped")
    parser.add_argument("config", type=_recipe, metavar="CONFIG", help="a YAML file, or the name of one in configs/")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="FILE|KEY=VALUE",
        help="laid over it, e.g. recipe=official run.steps=500; the later counts",
    )
    parser.add_argument("--json", action="store_true", help="print the validation as JSON")
    parser.set_defaults(run=_train)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="measure a model; prints its protocol beside its figure")
    parser.add_argument("model", nargs="?", default=argparse.SUPPRESS, metavar="MODEL", help="the same as --model")
    parser.add_argument("--config", type=_recipe, help="take the data set of this YAML (default: the model's own)")
    parser.add_argument(
        "--clips",
        type=whole_number(1),
        help="views along time of each video (default 1); explanations: number of clips (default 500)",
    )
    parser.add_argument("--crops", type=int, choices=(1, 3), default=1, help="views along the longer side (default 1)")
    parser.add_argument("--size", type=whole_number(1), help=SIZE_HELP)
    parser.add_argument(
        "--control",
        default="none",
        help="motion15: shuffled or frozen frames, or between: all motion between feature frames (default none)",
    )
    parser.add_argument(
        "--explanations",
        action="store_true",
        help="measure maps and sampling points instead, on motion15 clips of moving objects",
    )
    parser.add_argument("--workers", type=whole_number(1), default=1, help="explanations: processes (default 1)")
    parser.add_argument("--card", type=Path, metavar="FILE", help="explanations: put the tables into this model card")
    parser.add_argument("--batch", type=whole_number(1), help="clips at a time (default: up to 32, fewer if large)")
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"), default="no", help="automatic mixed precision")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write evaluation.json, predictions.csv and confusion.html, or explanations.json and explanations.md",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_model_options(parser)
    parser.set_defaults(run=_evaluate)


def _add_make_dataset(commands: Any) -> None:
    parser = commands.add_parser("make-dataset", help="write motion15 clips as mp4 files with a list and true flow")
    parser.add_argument("out", type=Path, metavar="FOLDER")
    parser.add_argument("--split", default="train", help="train, val or test (default train)")
    parser.add_argument("--count", type=whole_number(1), default=150, help="clips (default 150)")
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="the same seed gives the same clips (default 0)"
    )
    parser.add_argument("--size", type=whole_number(16), nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels, even")
    parser.add_argument("--frames", type=whole_number(2), help="frames of a clip")
    parser.add_argument("--no-flow", action="store_true", help="leave out the true optical flow")
    parser.set_defaults(run=_make_dataset)


def _train(options: argparse.Namespace) -> None:
    from sifa_core import training

    over = [text if "=" in text else str(_recipe(text)) for text in options.overrides]
    result = training.train(training.load_config(options.config, over))
    if int(os.environ.get("RANK", "0")):
        return  # the first of several processes speaks for all
    print(f"Wrote {result.checkpoint}", file=sys.stderr)
    if broken := result.failures.report():
        print(f"Training split: {broken}", file=sys.stderr)
    _show(result.validation, options.json)


def _evaluate(options: argparse.Namespace) -> None:
    from sifa_core import training
    from sifa_core.training.sharing import leave, share

    if options.explanations:
        _evaluate_explanations(options)
        return
    if options.card is not None:
        raise ConfigError("--card goes with --explanations.")
    part = share()  # before the model is loaded, so that each process has a GPU of its own
    result = training.evaluate_checkpoint(
        load(options),
        training.load_config(options.config).data if options.config else None,
        clips=options.clips or 1,
        crops=options.crops,
        size=options.size,
        control=options.control,
        batch=options.batch,
        precision=options.precision,
        out=options.out,
        progress=Bar("video"),
    )
    leave()
    if part.is_first:
        _show(result, options.json)


def _evaluate_explanations(options: argparse.Namespace) -> None:
    from sifa_core.explain import benchmark
    from sifa_core.training.report import writable_folder

    if options.control != "none" or options.config is not None or options.crops != 1:
        raise ConfigError("--explanations takes neither --config, --control nor --crops: its clips are motion15's.")
    if options.card is not None:
        benchmark.read_card(options.card)  # mistakes here should not cost the work
    if options.out is not None:
        writable_folder(options.out)
    config = benchmark.BenchmarkConfig(options.clips or benchmark.BenchmarkConfig.clips, options.size)
    found = benchmark.run_benchmark(load(options), config, workers=options.workers, progress=Bar("clip"))
    if options.out is not None:
        for path in benchmark.write_files(found, options.out):
            print(f"Wrote {path}", file=sys.stderr)
    if options.card is not None:
        benchmark.update_card(options.card, found)
        print(f"Wrote {options.card}", file=sys.stderr)
    print(json.dumps(found.to_dict(), indent=1) if options.json else benchmark.markdown(found), end="")


def _make_dataset(options: argparse.Namespace) -> None:
    from sifa_core.data.motion15 import MotionConfig, make_dataset

    chosen = {"num_frames": options.frames} if options.frames else {}
    if options.size:
        chosen |= dict(zip(("height", "width"), options.size, strict=True))
    listing = make_dataset(
        options.out,
        split=options.split,
        count=options.count,
        seed=options.seed,
        config=dataclasses.replace(MotionConfig(), **chosen),
        flow=not options.no_flow,
        progress=Bar("clip"),
    )
    print(f"Wrote {listing}", file=sys.stderr)


def _recipe(text: str) -> Path:
    """A file, or the recipe of that name that comes with the package."""
    named = shipped("configs", f"{text}.yaml")
    return named if not Path(text).exists() and named.is_file() else Path(text)


def _show(result: Any, as_json: bool) -> None:
    from sifa_core.training import summary

    print(json.dumps(result.to_dict(), indent=1) if as_json else summary(result))
