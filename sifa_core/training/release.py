"""Makes a checkpoint fit to be given away: measured, half the size, with a model card of what was measured.

`python -m sifa_core.training.release runs/NAME/model.safetensors assets/checkpoints/NAME.safetensors`

The card is a new one. How true its explanations are is measured afterwards, and put into it:
`sifa evaluate --explanations NAME.safetensors --card MODEL_CARD.md -o benchmarks`
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sifa_core.data import read_clip
from sifa_core.data.datasets.motion import CONTROLS
from sifa_core.errors import SifaError
from sifa_core.inference import VIEWS, predict, predict_video
from sifa_core.models import load_model, save_checkpoint
from sifa_core.models.base import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from sifa_core.training.evaluation import TEST_CLIPS, evaluate_checkpoint
from sifa_core.training.offset_accuracy import offset_report
from sifa_core.training.result import Evaluation

CONTROL_CLIPS = 600
OFFSET_CLIPS = 200
CARD = "MODEL_CARD.md"
CARD_TEXT = """# {name}

{architecture} ({fields}), {parameters:,} parameters stored as float16.
For a clip of {frames} frames it says what moves: {labels}.

Trained for {step:,} steps on {seen:,} clips of motion15 (seed {seed}), which a program draws from
sprites and photographs. It has never seen a real video.{history}

## Accuracy

**{accuracy} top-1, {top5} top-5**, chance being 6.7 and 33.3 %. {protocol}.
No sprite and no background of the test split is in any other split.

| speed, cells of res4 (16 pixels) per feature frame (4 frames) | clips | top-1 |
|---|---|---|
{speeds}

| class | top-1 |
|---|---|
{classes}

Controls, {control_clips} clips each: frames in random order {shuffled}, one frame all the time
{frozen}. In random order a clip still shows that something pans or turns, but not which way: of the answers
that name the right class or its opposite, {shuffled_directions} name the right one; in order it is {directions}, by
guessing 50 %. Where all motion falls between feature frames, so that only the SIFA layers can see it:
{between}.

## Offsets

Over {offset_clips} test clips, in cells of each layer's own map. The last two columns compare the
attention-weighted displacement with the true flow, where something moves by at least a quarter of a cell: "regular" is
the same attention without offsets, "still" the error of predicting no motion.

| layer | mean offset | largest | points out of frame (regular) | entropy | cosine (regular) | error (regular, still) |
|---|---|---|---|---|---|---|
{layers}

## Real clips

The example clips: whole frames, stride chosen from how much moves. A video's prediction is the mean over up to {views}
clips spread over it (section 4.1 of the paper); the page explains the clip that moves most.

| video | stride | most probable, mean | of the clip that moves most |
|---|---|---|---|
{examples}

## Limits

It knows these classes only: it cannot say what an object is, and must choose one class even where several things move
or none of them fits. Real clips differ from drawn ones; expect more mistakes there than the figures above say.
Attention shows what the network compared, not why it decided.
"""


def release(
    source: str | Path,
    target: str | Path,
    *,
    clips: int = TEST_CLIPS,
    examples: Path = EXAMPLE_CLIPS,
    history: str = "",
    say: Callable[[str], None] = print,
) -> Path:
    """Measure a motion15 checkpoint and write it, in float16, with its figures inside and a model card beside it.

    Args:
        source: checkpoint of a training run; evaluation.json and confusion.html go into a folder "test" beside it.
        target: .safetensors file to write; the card goes into the same folder.
        clips: test clips; controls and offsets take at most as many.
        examples: folder of real clips to predict.
        history: what the configuration in the checkpoint does not say about how the weights came about.
        say: told what is being done.

    Returns the path of the card. Raises ModelError and its subclasses.
    """
    model = load_model(source)
    facts = dict(model.info.facts)
    facts["training"] = without_folders(facts.get("training", {}))
    if "start" in facts:
        facts["start"] = facts["start"] | {"weights": Path(facts["start"]["weights"]).name}
    model.half().float()  # what is measured below are the numbers that are stored
    say("measuring accuracy")
    tests = {"none": evaluate_checkpoint(model, size=clips, out=Path(source).parent / "test")}
    for control in CONTROLS[1:]:
        say(f"measuring {control} clips")
        tests[control] = evaluate_checkpoint(model, size=min(clips, CONTROL_CLIPS), control=control)
    say("measuring offsets")
    offsets = offset_report(model, clips=min(clips, OFFSET_CLIPS))
    facts["history"] = history
    facts["metrics"] = tests["none"].to_dict()
    facts["controls"] = {key: tests[key].accuracy for key in CONTROLS[1:]}
    facts["shuffled_directions"] = tests["shuffled"].to_dict()["directions"]
    facts["offsets"] = offsets
    say("predicting real clips")
    real = _real_clips(model, examples)
    facts["example_clips"] = real
    model.info = dataclasses.replace(model.info, facts=facts)
    save_checkpoint(target, model.half(), facts)
    card = Path(target).parent / CARD
    card.write_text(_card(model, Path(target).name, tests, offsets, real), encoding="utf-8")
    return card


def without_folders(training: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration with the names of files, but not of the folders that they lie in on one's machine."""
    named = {"model": ("weights",), "data": ("root", "val_root", "train", "val", "labels"), "run": ("out",)}
    cleaned = {part: dict(values) for part, values in training.items()}
    for part, keys in named.items():
        for key in keys:
            if cleaned.get(part, {}).get(key):
                cleaned[part][key] = Path(cleaned[part][key]).name
    return cleaned


def _real_clips(model: VideoModel, folder: Path) -> list[dict[str, Any]]:
    """The three most probable classes of every clip in the folder: of the window that the page shows, and of all."""
    rows = []
    for path in sorted(folder.glob("*.mp4")):
        clip = read_clip(path, model.info.num_frames)
        found = {"top3": predict(model, clip), "video_top3": predict_video(model, path)}
        top = {key: [[label, round(value, 3)] for label, value in best[:3]] for key, best in found.items()}
        rows.append({"clip": path.stem, "stride": clip.source.stride, **top})
    return rows


def _card(
    model: VideoModel, name: str, tests: dict[str, Evaluation], offsets: dict[str, Any], real: list[dict[str, Any]]
) -> str:
    result, info, facts = tests["none"], model.info, model.info.facts
    training = facts.get("training", {})
    run, chosen = training.get("run", {}), training.get("model", {})
    step, history = facts.get("step", 0), facts.get("history", "").strip()
    fields = chosen.get("fields", chosen.get("switches", {}))  # the older name
    return CARD_TEXT.format(
        name=name,
        architecture=info.name,
        fields=", ".join(f"{key} {value}" for key, value in fields.items()) or "default fields",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        frames=info.num_frames,
        labels=", ".join(info.labels),
        step=step,
        seen=step * run.get("batch", 0) * run.get("accumulation", 1),
        seed=training.get("data", {}).get("seed", 0),
        history=f"\n\n{history}" if history else "",
        accuracy=_percent(result.accuracy),
        top5=_percent(result.top5),
        protocol=result.protocol,
        speeds=_rows([key, row["clips"], _percent(row["accuracy"])] for key, row in result.by_speed.items()),
        classes=_rows([label, _percent(value)] for label, value in result.per_class.items()),
        control_clips=tests["shuffled"].count,
        **{key: _percent(tests[key].accuracy) for key in CONTROLS[1:]},
        shuffled_directions=_percent(tests["shuffled"].directions),
        directions=_percent(result.directions),
        offset_clips=min(result.count, OFFSET_CLIPS),
        layers=_rows(_offset_row(layer, row) for layer, row in offsets.items()),
        views=VIEWS,
        examples=_rows([row["clip"], row["stride"], _top(row["video_top3"]), _top(row["top3"])] for row in real),
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _rows(rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _top(predictions: list[list[Any]]) -> str:
    return ", ".join(f"{label} {probability:.2f}" for label, probability in predictions)


def _offset_row(layer: str, row: dict[str, float]) -> list[str]:
    return [
        layer,
        f"{row['mean_offset']:.2f}",
        f"{row['max_offset']:.1f}",
        f"{_percent(row['out_of_frame'])} ({_percent(row['regular_out_of_frame'])})",
        f"{row['attention_entropy']:.2f}",
        f"{row['flow_cosine']:.2f} ({row['regular_flow_cosine']:.2f})",
        f"{row['flow_error']:.2f} ({row['regular_flow_error']:.2f}, {row['still_flow_error']:.2f})",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a checkpoint and make it fit to be given away.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--clips", type=int, default=TEST_CLIPS, help="test clips (default 3000)")
    parser.add_argument("--history", default="", help="how the weights came about, beyond the configuration")
    options = parser.parse_args()
    try:
        print(release(options.source, options.target, clips=options.clips, history=options.history))
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error
