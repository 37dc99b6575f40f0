"""The command `profile`: what a model costs, and how that compares with the paper's figures."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from sifa_core.commands.options import Bar, whole_number
from sifa_core.errors import ConfigError, ModelError
from sifa_core.fields import parse_key_values

if TYPE_CHECKING:
    from sifa_core.profile import Cost, Latency, PaperCost

BLOCK = re.compile(r"layer\d+\.\d+|layers\.\d+\.(?:blocks\.\d+|downsample)")
"""What the table shows as one line; everything else goes by the first part of its name."""
TITLES = {
    "1a": "variants in res5 (R50, 16 frames)",
    "1b": "where offsets come from, in res5 (R50, 16 frames)",
    "1c": "local region size, in res5 (R50, 16 frames)",
    "1d": "stages (R50, 16 frames)",
    "1e": "temporal modules (R50, 16 frames)",
    "2": "Kinetics-400, one view",
    "3": "Kinetics-600, one view",
    "4": "Something-Something, one view",
}
WIDTH = 110


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("profile", help="parameters, multiply-adds, memory and time of a model")
    parser.add_argument(
        "model", nargs="?", default="sifa_net_tiny", metavar="MODEL", help="an architecture, or a file of weights"
    )
    parser.add_argument("fields", nargs="*", metavar="KEY=VALUE", help='e.g. temporal=none or stages=["res5"]')
    parser.add_argument("--preset", default="paper", help='"paper" (default) or "official"')
    parser.add_argument("--frames", type=whole_number(1), help="frames of a clip (default: as trained)")
    parser.add_argument("--size", type=whole_number(1), nargs="+", metavar="PIXELS", help="side, or height and width")
    parser.add_argument("--clips", type=whole_number(1), default=1, help="clips in the batch (default 1)")
    parser.add_argument("--no-latency", action="store_true", help="work everything out from shapes, run nothing")
    parser.add_argument("--repeats", type=whole_number(1), default=5, help="forwards to time (default 5)")
    parser.add_argument("--device", default="auto", help='where to time: "cpu", "cuda", or "auto" (default)')
    parser.add_argument("--paper", action="store_true", help="print the paper's GFLOPs beside ours, table by table")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=_profile)


def _profile(options: argparse.Namespace) -> None:
    if options.paper:
        _compare(options.json)
        return
    from sifa_core.profile import measure_cost

    size, fields = _size(options.size), parse_key_values(options.fields)
    name, fields = _architecture(options.model, fields)
    cost = measure_cost(name, frames=options.frames, size=size, clips=options.clips, preset=options.preset, **fields)
    latency = None if options.no_latency else _latency(name, options, cost.shape, fields)
    if options.json:
        print(json.dumps(_as_json(options, cost, latency), indent=1))
    else:
        print(_text(options.model, cost, latency))


def _architecture(model: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and fields of what is to be built: an architecture, or that of a file of weights with its own fields."""
    from sifa_core.models import load_model, model_names

    if model in model_names():
        return model, fields
    loaded = load_model(model)
    return loaded.info.name, {**dataclasses.asdict(loaded.config), **fields}


def _latency(name: str, options: argparse.Namespace, shape: tuple[int, ...], fields: dict[str, Any]) -> Latency:
    from sifa_core.device import pick_device
    from sifa_core.models import create_model
    from sifa_core.profile import measure_latency

    model = create_model(name, preset=options.preset, **fields).to(pick_device(options.device))
    print(f"timing {options.repeats} forwards …", file=sys.stderr)
    try:
        return measure_latency(model, shape, repeats=options.repeats)
    except RuntimeError as error:  # torch has no type of its own for a CPU that runs out of memory
        reason = str(error).splitlines()[0]
        raise ModelError(f"{options.model} cannot be timed on {shape}: {reason}") from error


def _text(title: str, cost: Cost, latency: Latency | None) -> str:
    clips, _, frames, height, width = cost.shape
    lines = [f"{title}: {clips} x {frames} frames of {height} x {width}", ""]
    lines += [f"{'layer':22}{'parameters':>12}{'multiply-adds':>16}{'fraction':>9}{'of these temporal':>20}"]
    parameters, additions, temporal = _by_block(cost.parameters), _by_block(cost.multiply_adds), _temporal(cost)
    for block in parameters:
        count, fraction = additions.get(block, 0), additions.get(block, 0) / 1e9 / cost.gigas
        part = f"{temporal[block] / 1e9:18.3f} G" if block in temporal else ""
        lines.append(f"{block:22}{parameters.get(block, 0) / 1e6:10.3f} M{count / 1e9:14.3f} G{fraction:9.1%}{part}")
    total = f"{sum(temporal.values()) / 1e9:18.3f} G"
    lines.append(f"{'all':22}{cost.parameter_count / 1e6:10.3f} M{cost.gigas:14.3f} G{1:9.1%}{total}")
    lines += [
        "",
        f"feature maps: {cost.training_bytes / 2**20:.1f} MiB stored for the backward in training, "
        f"at most {cost.inference_bytes / 2**20:.1f} MiB at once in inference (float32)",
    ]
    if latency:
        threads = f", {latency.threads} threads" if latency.device == "cpu" else ""
        lines.append(
            f"time: {latency.median:.0f} ms median, {latency.fastest:.0f} ms fastest of {latency.repeats} forwards on "
            f"{latency.device}{threads}; operator: {latency.backend}"
        )
    return "\n".join(lines)


def _as_json(options: argparse.Namespace, cost: Cost, latency: Latency | None) -> dict[str, Any]:
    totals = {"parameters": cost.parameter_count, "multiply_adds": sum(cost.multiply_adds.values())}
    return {
        "model": options.model,
        "preset": options.preset,
        "total": totals,
        **dataclasses.asdict(cost),
        "latency_ms": latency and dataclasses.asdict(latency),
    }


def _by_block(layers: dict[str, int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for layer, count in layers.items():
        found = BLOCK.match(layer)
        block = found.group() if found else layer.split(".")[0]
        sums[block] = sums.get(block, 0) + count
    return sums


def _temporal(cost: Cost) -> dict[str, int]:
    return _by_block({name: count for name, count in cost.multiply_adds.items() if ".temporal" in name})


def _compare(as_json: bool) -> None:
    from sifa_core.profile import compare_with_paper

    rows = compare_with_paper(Bar("row"))
    if as_json:
        print(json.dumps([_comparison_as_json(row) for row in rows], indent=1))
        return
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    for table, title in TITLES.items():
        print(f"Table {table}: {title}")
        print(f"  {'':46}{'paper':>8}{'ours':>9}{'difference':>13}")
        for row in (row for row in rows if row.table == table):
            print(_line(row, f" [{notes.index(row.note) + 1}]" if row.note else ""))
        print()
    for number, note in enumerate(notes, start=1):
        print(textwrap.fill(note, WIDTH, initial_indent=f"{f'[{number}]':5}", subsequent_indent=5 * " "))
    print()
    print("Multiply-adds in thousands of millions, which the paper calls GFLOPs; its figures are rounded to one.")


def _line(row: PaperCost, mark: str) -> str:
    paper = "-" if row.paper is None else f"{row.paper:g}"
    difference = "" if row.difference is None else f"{100 * row.difference:+.1f} %"
    return f"  {row.row:46}{paper:>8}{row.ours:9.1f}{difference:>13}{mark}".rstrip()


def _comparison_as_json(row: PaperCost) -> dict[str, Any]:
    return {**dataclasses.asdict(row), "difference": row.difference}


def _size(numbers: list[int] | None) -> tuple[int, int] | None:
    if numbers is None:
        return None
    if len(numbers) > 2:
        raise ConfigError(f"--size takes one or two numbers, not {len(numbers)}.")
    return numbers[0], numbers[-1]
