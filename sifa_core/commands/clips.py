"""Commands about clips: `predict` and `explain`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sifa_core.commands.options import Bar, add_model_options, add_trusted_option, load, video_readers, whole_number
from sifa_core.errors import ClipError

if TYPE_CHECKING:
    from sifa_core.models.base import ModelInfo


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_predict(commands)
    _add_explain(commands)


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser("predict", help="what a model thinks each video shows")
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="video files")
    parser.add_argument(
        "--views",
        type=whole_number(1),
        metavar="N",
        help="clips spread over the video, whose probabilities are averaged (default: the paper's 10); one with "
        "--start or --stride",
    )
    parser.add_argument("--top", type=whole_number(1), default=5, metavar="N", help="classes to print (default 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of text")
    add_model_options(parser)
    _add_sampling_options(parser)
    parser.set_defaults(run=_predict)


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser("explain", help="write Figure 5 and the interactive viewer of a clip")
    parser.add_argument("clip", metavar="CLIP", help="a video file")
    parser.add_argument(
        "-o",
        "--out",
        nargs="+",
        type=Path,
        metavar="FILE",
        help=".html, .png, .svg, .pdf, .gif, .mp4 or .json (default CLIP.html)",
    )
    parser.add_argument(
        "--query", type=_query, metavar="T,X,Y", help="feature frame and pixel (default: where most moves)"
    )
    parser.add_argument("--layer", help='a SIFA layer, e.g. "res4.1" (default: the last that is fine enough to see)')
    parser.add_argument(
        "--levels", type=int, choices=(1, 2), help="1: 9 points for k = 3; 2: 81 (default: as many as it has)"
    )
    parser.add_argument("--target", help="class whose evidence is shown, number or label (default: the predicted)")
    parser.add_argument("--against", metavar="CLASS", help="another class: evidence for the target rather than for it")
    parser.add_argument("--method", help="how class evidence is found, e.g. grad_cam (default: what measures best)")
    parser.add_argument("--evidence-layer", metavar="LAYER", help="stage or layer whose feature map it is read at")
    parser.add_argument(
        "--paper",
        action="store_true",
        help="show the paper's own maps: Eq. 5 and Grad-CAM of the last stage",
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead of a summary")
    add_model_options(parser)
    _add_sampling_options(parser)
    parser.set_defaults(run=_explain)


def _predict(options: argparse.Namespace) -> None:
    from sifa_core.data.container import display_name
    from sifa_core.inference import VIEWS, predict, video_clips

    readers = video_readers(options)
    model = load(options)
    rows: list[dict[str, Any]] = []
    progress = Bar("clip")
    broken = 0
    for done, name in enumerate(options.clips, start=1):
        try:
            if options.start is None and options.stride == "auto":
                clips = video_clips(model, name, options.views or VIEWS, readers)
            else:
                clips = [readers.read_clip(name, model.info.num_frames, start=options.start, stride=options.stride)]
        except ClipError as error:
            if len(options.clips) == 1:
                raise
            broken += 1
            rows.append({"clip": display_name(name), "error": str(error)})
        else:
            predictions = predict(model, *clips)[: options.top] if model.info.is_trained else None
            facts = {"clip": clips[0].source.name, "sha256": clips[0].sha256, "views": len(clips)}
            rows.append(facts | {"predictions": predictions})
        progress(done, len(options.clips))
    facts = {"name": model.info.name, "status": model.info.status, "sha256": model.info.sha256}
    if options.json:
        print(json.dumps({"model": facts, "clips": rows}, indent=1))
    else:
        _print_predictions(rows, model.info)
    if broken:
        raise ClipError(f"{broken} of {len(rows)} clips could not be read.")


def _print_predictions(rows: list[dict[str, Any]], info: ModelInfo) -> None:
    if not info.is_trained:
        print(f"{info.name} is untrained, so its predictions are hidden.", file=sys.stderr)
    for row in rows:
        if "error" in row:
            print(f"error: {row['error']}", file=sys.stderr)
            continue
        print(row["clip"])
        for label, probability in row["predictions"] or []:
            print(f"  {probability:6.1%}  {label}")


def _explain(options: argparse.Namespace) -> None:
    import sifa_core as sifa
    from sifa_core.explain.render.numbers import describe
    from sifa_core.explain.render.renderers import file_kind, own_clip, save
    from sifa_core.inference import shown_predictions

    paths = options.out or [Path(Path(options.clip).stem + ".html")]
    for path in paths:  # a mistake here should not cost the analysis
        file_kind(path)
        if path.resolve() == Path(options.clip).resolve():
            raise own_clip(path)
    readers = video_readers(options)
    model = load(options)
    clip = readers.read_clip(options.clip, model.info.num_frames, start=options.start, stride=options.stride)
    analysis = sifa.analyze(model, clip, progress=lambda step: print(f"{step} …", file=sys.stderr))
    target, against = (int(text) if (text or "").isdecimal() else text for text in (options.target, options.against))
    selection = analysis.select(
        options.query,
        options.layer,
        options.levels,
        target,
        against=against,
        method=options.method,
        evidence_layer=options.evidence_layer,
        paper=options.paper,
    )
    for path in paths:
        print(f"Wrote {save(analysis, path, selection)}", file=sys.stderr)
    if options.json:
        print(json.dumps(describe(analysis, selection), indent=1))
        return
    print(f"{clip.source.name}: {clip.num_frames} frames, every {clip.source.stride}, from {clip.indices[0]}")
    for label, probability in shown_predictions(model.info, analysis.predictions[:3]):
        print(f"  {probability:6.1%}  {label}")
    for layer in analysis.layers:
        found = analysis.offset_statistics(layer)
        length, pixels = found.mean_magnitude.mean(), found.mean_magnitude_pixels.mean()
        print(
            f"  {layer}: offsets {length:.2f} cells ({pixels:.0f} px), {found.out_of_frame.mean():.0%} out of frame, "
            f"attention entropy {found.attention_entropy.mean():.2f}"
        )
    for diagnostic in analysis.warnings():
        print(f"  {diagnostic.severity}: {diagnostic.sentence} {diagnostic.advice}")


def _add_sampling_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=int, metavar="FRAME", help="first frame (default: the window that moves most)")
    parser.add_argument(
        "--stride", type=_stride, default="auto", help='frames from one to the next, or "auto" (default)'
    )
    add_trusted_option(parser)


def _stride(text: str) -> int | str:
    return text if text == "auto" else whole_number(1)(text)


def _query(text: str) -> tuple[int, float, float]:
    try:
        t, x, y = text.split(",")
        return int(t), float(x), float(y)
    except ValueError:
        raise argparse.ArgumentTypeError("write it as T,X,Y, for example 1,320,180") from None
