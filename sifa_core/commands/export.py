"""The command `export`: a model as an ONNX or torch.export file that runs without this package."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sifa_core.commands.options import add_model_options, load, whole_number
from sifa_core.errors import ExportError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("export", help="write a model as ONNX or torch.export, and compare the two")
    parser.add_argument("out", type=Path, metavar="FILE", help="ends in .onnx or .pt2")
    parser.add_argument("--frames", type=whole_number(1), help="frames of a clip (default: as trained)")
    parser.add_argument(
        "--size", type=whole_number(1), nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels (default: as trained)"
    )
    parser.add_argument("--no-check", action="store_true", help="do not run the file and compare it with the model")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    add_model_options(parser)
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from sifa_core.models.standalone import ENDINGS, check_export, export_model

    if options.out.suffix not in ENDINGS:  # a mistake here should not cost the loading
        raise ExportError(f"{options.out.name} cannot be written: the ending must be one of {', '.join(ENDINGS)}.")
    model = load(options)
    print("exporting …", file=sys.stderr)
    path = export_model(model, options.out, frames=options.frames, size=options.size and tuple(options.size))
    difference = None if options.no_check else check_export(path, model)
    facts = {"file": str(path), "bytes": path.stat().st_size, "largest_difference": difference}
    if options.json:
        print(json.dumps(facts, indent=1))
        return
    print(f"Wrote {path}, {path.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    if difference is not None:
        print(f"largest difference of its logits from the model's on a random clip: {difference:.1e}")
