"""The command `export`: a model as an ONNX or torch.export file that runs without this package."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from sifa_core.commands.options import add_model_options, load, whole_number
from sifa_core.errors import ExportError

TRACED_ENDINGS = (".onnx",)


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("export", help="write a model as ONNX or torch.export, and compare the two")
    parser.add_argument("out", type=Path, metavar="FILE", help="ends in .onnx or .pt2")
    parser.add_argument(
        "--traced",
        action="store_true",
        help="with what explanations need: offsets, weights, motion and features; .onnx only (docs/traced.md)",
    )
    parser.add_argument("--frames", type=whole_number(1), help="frames of a clip (default: as trained)")
    parser.add_argument(
        "--size",
        type=whole_number(1),
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="pixels (default: as trained; with --traced: free, in multiples of the model's stride)",
    )
    parser.add_argument("--no-check", action="store_true", help="do not run the file and compare it with the model")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_model_options(parser)
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from sifa_core.models.standalone import ENDINGS

    allowed = TRACED_ENDINGS if options.traced else ENDINGS
    if options.out.suffix not in allowed:  # a mistake here should not cost the loading
        kind = " with --traced" if options.traced else ""
        listed = f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0]
        raise ExportError(f"{options.out.name} cannot be written{kind}: the ending must be {listed}.")
    model = load(options)
    print("exporting …", file=sys.stderr)
    size = options.size and tuple(options.size)
    found: dict[str, float] = {}
    visible: list[str] = []
    if options.traced:
        from sifa_core.explain.traced.export import export_traced
        from sifa_core.explain.traced.file import check_traced

        path = export_traced(model, options.out, frames=options.frames, size=size)
        if not options.no_check:
            differences = check_traced(path, model)
            found, visible = dataclasses.asdict(differences), list(differences.visible)
    else:
        from sifa_core.models.standalone import check_export, export_model

        path = export_model(model, options.out, frames=options.frames, size=size)
        if not options.no_check:
            found = {"logits": check_export(path, model)}
    _report(options, path, found, visible)


def _report(options: argparse.Namespace, path: Path, found: dict[str, float], visible: list[str]) -> None:
    """Say what was written, how far its answers are from the model's, and which of them too far: `visible`."""
    facts: dict[str, Any] = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "largest_difference": found.get("logits"),
    }
    if options.traced:
        facts |= {"differences": found or None, "visible": visible}
    if options.json:
        print(json.dumps(facts, indent=1))
        return
    print(f"Wrote {path}, {path.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    for name, difference in found.items():
        print(f"largest difference of its {name} from the model's on a random clip: {difference:.1e}")
    if visible:
        print(f"warning: differences that can be seen: {', '.join(visible)}", file=sys.stderr)
