"""How fast clips come from files, and whether that feeds the training of SIFA-Net with a ResNet-50.

    python -m benchmarks.loading [--seconds 10] [--repeats 5]

Writes H.264 videos with B-frames of a textured, moving picture, with key pictures at the usual distance and far apart,
and measures the processor time of one clip: the whole video decoded and hashed, as the page does, and only what the
clip needs, as training does. The frames are compared: they must be the same to the last pixel. Then the clips that one
worker makes in a second, cropped, with and without the authors' augmentation, beside the clips that a training step
takes; and the memory of an evaluation of 10 x 3 views of 64 frames at 256 pixels.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from sifa_core.data.augmentation import Augmentation
from sifa_core.data.container import open_file
from sifa_core.data.datasets import View
from sifa_core.data.datasets.formats import Entry, Listing
from sifa_core.data.datasets.video import VideoDataset
from sifa_core.data.decode import read_frames
from sifa_core.data.limits import DATASET_LIMITS
from sifa_core.data.sampling import Window, window_indices
from sifa_core.data.scan import pictures, scan_video
from sifa_core.data.transforms import normalize
from sifa_core.device import pick_device
from sifa_core.models import create_model
from sifa_core.training import evaluate

RATE = 30
SIZES = {"256p": (256, 454), "720p": (720, 1280)}
KEYS = {"usual": {"g": "30", "keyint_min": "12"}, "rare": {"g": "250", "sc_threshold": "0"}}
"""Distance of key pictures -> options of the encoder."""
WINDOWS = {"16 x 4": (16, 4), "64 x 1": (64, 1)}
"""Frames x stride."""
LARGEST = 340
"""Short side that training reads, the paper's (section 4.1)."""
OFFICIAL = Augmentation(crop="resized", jitter=(0.4, 0.4, 0.4, 0.1), grey=0.2, blur=0.5)
RAND = Augmentation(crop="resized", rand_augment=2, magnitude=27.0)


@dataclass(frozen=True)
class Row:
    """Processor seconds of one clip."""

    size: str
    keys: str
    window: str
    whole: float
    """The whole video decoded and hashed."""
    needed: float
    """Only what the clip needs."""


def write_video(path: Path, size: tuple[int, int], options: dict[str, str], seconds: int) -> None:
    """A textured picture that moves and turns slowly, with a little noise, as a camera's."""
    height, width = size
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (12, 20, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width + 200, height + 200), interpolation=cv2.INTER_CUBIC)
    noise = random.integers(0, 12, (8, height, width, 3)).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "medium", "bf": "3", **options})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(seconds * RATE):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), 6 * np.sin(number / 40), 1.0)
            turn[:, 2] -= 60 * np.cos(number / 50), 60 * np.sin(number / 50)
            frame = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(cv2.add(frame, noise[number % 8]), format="rgb24")))
        output.mux(stream.encode())


def decoding(folder: Path, seconds: int, repeats: int) -> Iterator[Row]:
    """A row for each size, distance of key pictures and window; the fastest of `repeats`, which take turns."""
    for size, shape in SIZES.items():
        for keys, options in KEYS.items():
            path = folder / f"{size}-{keys}.mp4"
            write_video(path, shape, options, seconds)
            for window, (frames, stride) in WINDOWS.items():
                times: dict[str, list[float]] = {"whole": [], "needed": []}
                for repeat in range(repeats):
                    start = 17 + 23 * repeat
                    whole, whole_time = _timed(_whole, path, start, frames, stride)
                    needed, needed_time = _timed(_needed, path, start, frames, stride)
                    if not np.array_equal(whole, needed):
                        raise SystemExit(f"error: {path.name} gives other frames when only those needed are decoded.")
                    times["whole"].append(whole_time)
                    times["needed"].append(needed_time)
                yield Row(size, keys, window, min(times["whole"]), min(times["needed"]))


def _whole(path: Path, start: int, frames: int, stride: int) -> NDArray[np.uint8]:
    """As where packets do not tell times, and with the hash that a clip on the page has."""
    with open_file(path, DATASET_LIMITS) as file:
        found = scan_video(file, DATASET_LIMITS, LARGEST, thumbnails=False)
        assert found.show is not None
        assert file.sha256
        found.show = replace(found.show, in_one_step=True)
        indices = window_indices(np.asarray(found.timestamps), start, stride, frames)
        return pictures(file, DATASET_LIMITS, found, indices)


def _needed(path: Path, start: int, frames: int, stride: int) -> NDArray[np.uint8]:
    def choose(times: NDArray[np.float64]) -> Window:
        return Window(window_indices(times, start, stride, frames), stride)

    return read_frames(path, choose, max_short_side=LARGEST, limits=DATASET_LIMITS).frames


def _timed(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The result and the processor seconds of all threads."""
    before = time.process_time()
    result = call(*arguments)
    return result, time.process_time() - before


def clips_of_a_worker(path: Path, repeats: int) -> dict[str, float]:
    """Kind of augmentation -> clips of 16 x 224 x 224 that one worker makes in a second of processor time."""
    cv2.setNumThreads(1)  # as in a worker
    kinds = {"crop of the paper": Augmentation(), "recipe=official": OFFICIAL, "RandAugment (2, 27)": RAND}
    found = {}
    for kind, settings in kinds.items():
        view = View(16, 4, 224, (256, LARGEST), augmentation=settings)
        data = VideoDataset(Listing([Entry(path, 0)], ("any",)), view, segments=False)
        found[kind] = 1 / min(_timed(data.__getitem__, (0, position))[1] for position in range(2 * repeats))
    return found


def training_step(repeats: int) -> tuple[str, int, float]:
    """Device, clips of a batch, and clips that forward and backward of `sifa_net_r50` take in a second."""
    device = torch.device(pick_device("auto"))
    batch = 32 if device.type == "cuda" else 1
    network = create_model("sifa_net_r50", num_classes=400).train().to(device)
    info = network.info
    clips = torch.randint(0, 256, (batch, 16, 224, 224, 3), dtype=torch.uint8)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(normalize(clips.to(device), info.mean, info.std))
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        network.zero_grad()
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} threads"
    return f"{device.type}{threads}", batch, batch / min(times[1:])


def evaluation_memory(path: Path) -> tuple[float, float]:
    """GiB at most of this process and of one worker, while 10 x 3 views of 64 frames of three videos are evaluated."""
    network = create_model("sifa_net_tiny", width=8, num_frames=64, num_classes=2)
    view = View(64, 1, 256, training=False, clips=10, crops=3)
    data = VideoDataset(Listing([Entry(path, 0)] * 3, ("any", "other")), view, segments=False)
    evaluate(network, data, workers=2)
    peaks = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return next(peaks), next(peaks)


def report(seconds: int, repeats: int) -> str:
    """All measurements as Markdown."""
    lines = ["| video | key pictures | clip | whole, s | needed, s | ratio |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for row in decoding(Path(folder), seconds, repeats):
            ratio = row.whole / row.needed
            cells = (row.size, row.keys, row.window, f"{row.whole:.3f}", f"{row.needed:.3f}", f"{ratio:.1f}")
            lines.append(f"| {' | '.join(cells)} |")
        usual = Path(folder) / "256p-usual.mp4"
        worker = clips_of_a_worker(usual, repeats)
        own, child = evaluation_memory(usual)
    device, batch, step = training_step(repeats)
    lines += ["", "| 16 x 224 x 224 from 256p | clips/s |", "|---|---|"]
    lines += [f"| one worker, {kind} | {speed:.1f} |" for kind, speed in worker.items()]
    lines.append(f"| training step of sifa_net_r50, {device}, batch {batch} | {step:.2f} |")
    lines += ["", f"Decoding and workers: processor time, the fastest of {repeats}."]
    lines.append(f"10 x 3 views of 64 frames at 256 pixels: {own:.1f} GiB, and {child:.1f} GiB in each of two workers.")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure decoding for training, and what a worker delivers.")
    parser.add_argument("--seconds", type=int, default=10, help="length of the videos (default 10)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of which the fastest counts (default 5)")
    options = parser.parse_args(arguments)
    print(report(options.seconds, options.repeats))


if __name__ == "__main__":
    main()
