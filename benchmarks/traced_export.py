"""Whether a traced file says of the example clips what the model says of them, and how long it takes.

    python -m benchmarks.traced_export [VIDEO ...] [--model MODEL] [--web FOLDER]

Writes the file into a temporary folder, explains every clip with it and with the model in PyTorch, and prints the
largest differences; exits with 1 if one passes its bound in BOUNDS. With --web, a folder in which
`npm install onnxruntime-web` was run, the same clips also go through WebAssembly, in Node, on one thread. Times are
processor time, all threads together, which other work on the machine changes least.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sifa_core.commands.options import add_model_options, load
from sifa_core.data import read_clip
from sifa_core.errors import SifaError
from sifa_core.explain.traced.export import export_traced
from sifa_core.explain.traced.file import BOUNDS, Answers, Differences, TracedFile, differences, explain_with_model
from sifa_core.inference import prepare
from sifa_core.paths import EXAMPLE_CLIPS

SCRIPT = Path(__file__).with_name("traced_web.mjs")
REPEATS = 7
TIMED = (112, 200)
"""Height and width of the clip that is timed; sides that are no multiples of the model's stride are rounded up."""


class InNode:
    """The file in onnxruntime-web, one thread of WebAssembly: `run` as in `TracedFile`, and its processor time."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self.milliseconds: list[float] = []
        self.metadata: dict[str, str] = {}

    def run(self, clips: Tensor, repeats: int = 1) -> Answers:
        """All outputs for `clips` [B, 3, N, H, W]; `milliseconds` are those of each of `repeats` runs."""
        with tempfile.TemporaryDirectory() as name:
            given, made = Path(name, "clips"), Path(name, "answers")
            given.write_bytes(np.ascontiguousarray(clips.numpy()).tobytes())
            task = {
                "model": str(self._path),
                "packages": str(self._folder.resolve()),
                "clips": str(given),
                "shape": list(clips.shape),
                "repeats": repeats,
                "answers": str(made),
            }
            done = subprocess.run(["node", SCRIPT, json.dumps(task)], check=True, capture_output=True, text=True)
            told = json.loads(done.stdout)
            values = np.fromfile(made, np.float32)
        self.milliseconds, self.metadata = told["milliseconds"], told["metadata"]
        answers, start = {}, 0
        for output, shape in told["shapes"].items():
            count = int(np.prod(shape))
            answers[output] = values[start : start + count].reshape(shape)
            start += count
        return answers


def report(title: str, found: Differences) -> bool:
    """Print one row; whether it is within BOUNDS."""
    words = ", ".join(f"{name} {getattr(found, name):.1e}" for name in BOUNDS)
    print(f"{title}: {words}{'  TOO FAR' if found.visible else ''}", flush=True)
    return not found.visible


def timed_clip(file: TracedFile) -> Tensor:
    """One random clip of about TIMED pixels."""
    multiple = file.traced["multiple"]
    size = [-(-side // multiple) * multiple for side in TIMED]
    return torch.randn(1, 3, file.traced["frames"], *(file.traced["size"] or size))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A traced file against its model, on the example clips.")
    parser.add_argument("videos", nargs="*", type=Path, help="default: the example clips")
    parser.add_argument("--web", type=Path, metavar="FOLDER", help="where onnxruntime-web is installed")
    add_model_options(parser)
    options = parser.parse_args(arguments)
    model = load(options)
    with tempfile.TemporaryDirectory() as folder:
        path = export_traced(model, Path(folder, "model.onnx"))
        file = TracedFile(path)
        print(f"{path.stat().st_size / 1e6:.2f} MB; bounds: {', '.join(f'{k} {v:g}' for k, v in BOUNDS.items())}")
        web = options.web and InNode(path, options.web)
        are_near = True
        for video in options.videos or sorted(EXAMPLE_CLIPS.glob("*.mp4")):
            short_side = 2 * model.info.input_size
            clip = prepare(model, read_clip(video, num_frames=model.info.num_frames, max_short_side=short_side)).cpu()
            expected = explain_with_model(model, clip)
            name = f"{video.name} {clip.shape[3]} x {clip.shape[4]}"
            are_near &= report(name, differences(file.explain(clip), expected))
            if web:
                answers = web.run(file.path_of(clip))
                are_near &= report("  in Node", differences(file.read(answers), expected))
                are_near &= web.metadata == {key: json.dumps(value) for key, value in file.facts.items()}
        clip = timed_clip(file)
        for clips, words in ((clip, "one clip"), (file.path_of(clip), "clip, held and frozen clip")):
            height, width = clips.shape[3:]
            print(f"{words}, {clips.shape[2]} x {height} x {width}:", end=" ")
            took = []
            for _ in range(REPEATS):
                start = time.process_time()
                file.run(clips)
                took.append(1000 * (time.process_time() - start))
            print(f"{statistics.median(took):.0f} ms (fastest {min(took):.0f}) native", end="")
            if web:
                web.run(clips, REPEATS)
                took = web.milliseconds
                print(f", {statistics.median(took):.0f} ms (fastest {min(took):.0f}) in WebAssembly", end="")
            print()
    if not are_near:
        raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error
