"""The command `timeline`: what a model makes of a video, moment by moment."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from sifa_core.commands.options import Bar, add_model_options, add_trusted_option, load, video_readers, whole_number

if TYPE_CHECKING:
    from sifa_core.models.base import ModelInfo
    from sifa_core.timeline import Timeline


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("timeline", help="what a model makes of a video, moment by moment")
    parser.add_argument("clip", metavar="CLIP", help="a video file")
    parser.add_argument(
        "--windows",
        type=whole_number(1),
        metavar="N",
        help="moments, spread evenly over the video (default: one a second, 8 to 24)",
    )
    parser.add_argument(
        "--stride",
        type=whole_number(1),
        help="frames from one to the next (default: that at which things move visibly)",
    )
    parser.add_argument("--top", type=whole_number(1), default=3, metavar="N", help="classes a moment (default 3)")
    parser.add_argument("--json", action="store_true", help="print JSON, with the movement of every frame, too")
    add_model_options(parser)
    add_trusted_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from sifa_core.timeline import video_timeline

    readers = video_readers(options)
    model = load(options)
    found = video_timeline(
        model, options.clip, options.windows, stride=options.stride, readers=readers, progress=Bar("moment")
    )
    if options.json:
        print(json.dumps(found.to_dict(options.top, model.info.is_trained), indent=1))
    else:
        _print(found, model.info, options.top)


def _print(found: Timeline, info: ModelInfo, top: int) -> None:
    if not info.is_trained:
        print(f"{info.name} is untrained, so its predictions are hidden.")
    for moment in found.to_dict(top, info.is_trained)["moments"]:
        first, last = moment["seconds"]
        classes = ", ".join(f"{row['probability']:.1%} {row['label']}" for row in moment["predictions"] or [])
        print(f"{first:7.2f} to {last:.2f} s  --start {moment['start']} --stride {moment['stride']}  {classes}")
    if found.cuts:
        print(f"Cuts at {', '.join(f'{second:.2f}' for second in found.cuts)} s.")
