"""How fast a recipe trains on this machine, and where its time goes.

    python -m benchmarks.training configs/motion15_sifa_net_tiny.yaml [KEY=VALUE ...]

Trains for some steps just as `python -m sifa_core train` does, drawing included, and takes the clips a second of the
later ones; then profiles one step, and the drawing of one batch, by the processor time of one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from sifa_core.data.transforms import normalize
from sifa_core.errors import SifaError
from sifa_core.training import load_config, train
from sifa_core.training.build import build_model
from sifa_core.training.config import TrainConfig
from sifa_core.training.loading import training_data

STEPS, LOG = 40, 5
WARM_STEPS = 15
"""Steps before the ones that count: workers start, kernels compile, buffers fill."""
PARTS = {
    "convolutions": ("convolution",),
    "batch normalisation": ("batch_norm",),
    "SIFA operator": ("sifa::",),
    "copies and casts": ("aten::copy_",),
}
"""Row of the table -> what the names of its operations contain; all else is "the rest"."""


def clips_per_second(config: TrainConfig) -> float:
    """Median over the later steps of a short run of the recipe, drawing included."""
    with tempfile.TemporaryDirectory() as folder:
        # Validation and states come once in hundreds of steps; here they would come after forty.
        run = replace(config.run, out=folder, steps=STEPS, log_every=LOG, save_every=STEPS, eval_every=0)
        train(replace(config, data=replace(config.data, val_size=1), run=run), quiet=True)
        rows = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return statistics.median(row["clips_per_s"] for row in rows if row["phase"] == "train" and row["step"] > WARM_STEPS)


def seconds_by_part(config: TrainConfig) -> dict[str, float]:
    """Processor seconds of one thread for a batch, by kind of work: drawing, then forward and backward."""
    dataset = training_data(config)
    start = time.process_time()
    items = [dataset[position, position] for position in range(config.run.batch)]
    drawing = time.process_time() - start
    network = build_model(config, dataset.labels).train()
    clips = torch.stack([torch.from_numpy(item.clips[0]) for item in items if item.clips is not None])
    labels = torch.tensor([item.label for item in items])
    video = normalize(clips, network.info.mean, network.info.std)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _step(network, video, labels, config)
        with profile(activities=[ProfilerActivity.CPU]) as found:
            _step(network, video, labels, config)
    finally:
        torch.set_num_threads(threads)
    parts = dict.fromkeys(("drawing clips", *PARTS, "the rest"), 0.0) | {"drawing clips": drawing}
    for event in found.key_averages():
        part = next((name for name, keys in PARTS.items() if any(key in event.key for key in keys)), "the rest")
        parts[part] += event.self_cpu_time_total / 1e6
    return parts


def _step(network: torch.nn.Module, video: torch.Tensor, labels: torch.Tensor, config: TrainConfig) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=config.run.mixed_precision == "bf16"):
        logits = network(video)
    torch.nn.functional.cross_entropy(logits.float(), labels).backward()


def report(config: TrainConfig) -> str:
    """Both measurements as Markdown, of clips as they are for most of the run: without the easier ones at its start."""
    config = replace(config, data=replace(config.data, ramp_steps=0, between_steps=0))
    speed, parts = clips_per_second(config), seconds_by_part(config)
    total = sum(parts.values())
    lines = [
        f"{speed:.1f} clips/s, drawing included.",
        "",
        "| work on a batch | processor time | fraction |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {seconds:.2f} s | {100 * seconds / total:.0f} % |" for name, seconds in parts.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Leaves with one line on bad input."""
    parser = argparse.ArgumentParser(description="Measure how fast a recipe trains and where its time goes.")
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    try:
        print(report(load_config(options.config, options.overrides)))
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
