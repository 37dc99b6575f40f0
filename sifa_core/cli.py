"""The command line: `python -m sifa_core COMMAND`. A thin face of the Python API; it holds no maths.

Figures go to standard output, everything else to standard error. Bad input ends with one line and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from sifa_core.errors import SifaError

BAD_INPUT = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = _Parser(prog="python -m sifa_core", description="Explore video clips with inter-frame attention (SIFA).")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (_add_predict, _add_explain):
        add(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except SifaError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    return 0


class _Parser(argparse.ArgumentParser):
    """Like argparse's own, but a mistake is answered by one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}; see {self.prog} --help\n")


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser("predict", help="what a model thinks each clip shows")
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="video files")
    parser.add_argument("--top", type=_positive, default=5, metavar="N", help="classes to print (default 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of text")
    _add_model_options(parser)
    _add_sampling_options(parser)
    parser.set_defaults(run=_predict)


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser("explain", help="write Figure 5 and the interactive viewer of a clip")
    parser.add_argument("clip", metavar="CLIP", help="a video file")
    parser.add_argument(
        "-o", "--out", nargs="+", type=Path, metavar="FILE", help=".html, .png, .svg, .pdf or .json (default CLIP.html)"
    )
    parser.add_argument(
        "--query", type=_query, metavar="T,X,Y", help="feature frame and pixel (default: where most moves)"
    )
    parser.add_argument("--layer", help='a SIFA layer, e.g. "res5.1" (default: the last)')
    parser.add_argument(
        "--levels", type=int, choices=(1, 2), help="1: 9 points for k = 3; 2: 81 (default: as many as it has)"
    )
    parser.add_argument(
        "--target", help="class whose evidence Grad-CAM shows, number or label (default: the predicted)"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead of a summary")
    _add_model_options(parser)
    _add_sampling_options(parser)
    parser.set_defaults(run=_explain)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="sifa_net_tiny", help="a model's name, .safetensors or .pth file, or hf://user/repo"
    )
    parser.add_argument("--architecture", metavar="NAME", help="what to build, for weights that do not say it")
    parser.add_argument("--device", default="auto", help='"cpu", "cuda", or "auto" (default)')


def _add_sampling_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=int, metavar="FRAME", help="first frame (default: the window that moves most)")
    parser.add_argument(
        "--stride", type=_stride, default="auto", help='frames from one to the next, or "auto" (default)'
    )


def _predict(options: argparse.Namespace) -> None:
    import sifa_core as sifa
    from sifa_core.explain.analysis import predict

    model = _load(options)
    rows: list[dict[str, Any]] = []
    for name in _progress(options.clips):
        clip = sifa.read_clip(name, model.info.num_frames, start=options.start, stride=options.stride)
        predictions = predict(model, clip)[: options.top] if model.info.is_trained else None
        rows.append({"clip": clip.source.name, "sha256": clip.sha256, "predictions": predictions})
    facts = {"name": model.info.name, "status": model.info.status, "sha256": model.info.sha256}
    if options.json:
        print(json.dumps({"model": facts, "clips": rows}, indent=1))
        return
    if not model.info.is_trained:
        print(f"{model.info.name} is untrained, so its predictions are hidden.", file=sys.stderr)
    for row in rows:
        print(row["clip"])
        for label, probability in row["predictions"] or []:
            print(f"  {probability:6.1%}  {label}")


def _explain(options: argparse.Namespace) -> None:
    import sifa_core as sifa
    from sifa_core.explain.export import describe, file_kind, save

    paths = options.out or [Path(Path(options.clip).stem + ".html")]
    for path in paths:
        file_kind(path)  # a mistake here should not cost the analysis
    model = _load(options)
    clip = sifa.read_clip(options.clip, model.info.num_frames, start=options.start, stride=options.stride)
    analysis = sifa.analyze(model, clip, progress=lambda step: print(f"{step} …", file=sys.stderr))
    target = int(options.target) if (options.target or "").isdecimal() else options.target
    selection = analysis.select(options.query, options.layer, options.levels, target)
    for path in paths:
        print(f"Wrote {save(analysis, path, selection)}", file=sys.stderr)
    if options.json:
        print(json.dumps(describe(analysis, selection), indent=1))
        return
    print(f"{clip.source.name}: {clip.num_frames} frames, every {clip.source.stride}, from {clip.indices[0]}")
    for label, probability in analysis.predictions[:3] if model.info.is_trained else []:
        print(f"  {probability:6.1%}  {label}")
    for layer in analysis.layers:
        figures = analysis.offset_statistics(layer)
        length, pixels = figures.mean_magnitude.mean(), figures.mean_magnitude_pixels.mean()
        print(
            f"  {layer}: offsets {length:.2f} cells ({pixels:.0f} px), {figures.out_of_frame.mean():.0%} out of frame, "
            f"attention entropy {figures.attention_entropy.mean():.2f}"
        )


def _load(options: argparse.Namespace) -> Any:
    import sifa_core as sifa
    from sifa_core.device import pick_device

    return sifa.load_model(options.model, architecture=options.architecture, device=pick_device(options.device))


def _progress(names: Sequence[str]) -> Any:
    """A bar on standard error for more than one clip, where somebody is there to see it."""
    from tqdm import tqdm

    return tqdm(names, unit="clip", disable=len(names) < 2 or not sys.stderr.isatty())


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return value


def _stride(text: str) -> int | str:
    return text if text == "auto" else _positive(text)


def _query(text: str) -> tuple[int, float, float]:
    try:
        t, x, y = text.split(",")
        return int(t), float(x), float(y)
    except ValueError:
        raise argparse.ArgumentTypeError("write it as T,X,Y, for example 1,320,180") from None
