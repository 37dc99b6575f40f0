"""The paper's whole pipeline on its data sets' trees in miniature: train, kill, move the data, resume, evaluate 10 x 3.

Classes differ in colour, so that twenty steps teach them, and what is checked is the name that a clip is called by.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from sifa_core.cli import main
from sifa_core.training import TrainingError, evaluate_checkpoint, load_config, train

ROOT = Path(__file__).resolve().parents[2]
COLOURS = {"abseiling": (210, 40, 40), "playing guitar": (40, 200, 60), "zumba": (50, 60, 220)}
"""Class -> its colour; in the order of the alphabet, as the numbers of Kinetics."""
TEMPLATES = dict(
    zip(COLOURS, ("Dropping [something]", "Moving [something] up", "Tipping [something] over"), strict=True)
)
PLAIN = {name: template.replace("[", "").replace("]", "") for name, template in TEMPLATES.items()}
FRAMES, TRAIN, VAL = 14, 4, 2
"""Frames of a video; videos of a class."""
RECIPE = """
model: {name: sifa_net_tiny, fields: {width: 8, layers: [1, 1, 1, 1], dropout: 0.0}}
data: {num_frames: 4, stride: 2, crop: 32, workers: 0}
optimizer: {name: adamw, lr: 0.01, precise_batch_norm: 3, warmup_steps: 3, clip_norm: 40.0}
run: {steps: 20, batch: 6, save_every: 6, log_every: 10}
"""


def _pictures(label: str, seed: int) -> np.ndarray:
    """uint8 [FRAMES, 40, 56, 3]: the colour of the class with a little noise."""
    noise = np.random.default_rng(seed).integers(-25, 26, (FRAMES, 40, 56, 3))
    return np.clip(np.array(COLOURS[label]) + noise, 0, 255).astype(np.uint8)


def _video(path: Path, label: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "libvpx" if path.suffix == ".webm" else "libx264"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options={"preset": "ultrafast"} if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt = 40, 56, "yuv420p"
        for picture in _pictures(label, seed):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        output.mux(stream.encode())


def _frames(folder: Path, label: str, seed: int, template: str, *, flow: bool = False) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(_pictures(label, seed), 1):
        cv2.imwrite(str(folder / template.format(number)), picture[..., ::-1])
        if flow:
            cv2.imwrite(str(folder / f"flow_x_{number:05d}.jpg"), np.full((40, 56), 128, np.uint8))


def _clips(split: str) -> list[tuple[str, int, int]]:
    """(class, its number, seed) of every clip of a split."""
    count, start = (TRAIN, 0) if split == "train" else (VAL, 50)
    return [(label, number, start + 10 * number + i) for number, label in enumerate(COLOURS) for i in range(count)]


def kinetics400(root: Path) -> dict[str, str]:
    """CVDF's: a folder and a CSV for each split; one root."""
    for split in ("train", "val"):
        rows = ["label,youtube_id,time_start,time_end,split"]
        for label, _, seed in _clips(split):
            _video(root / split / f"id-{seed}_000010_000020.mp4", label, seed)
            rows.append(f"{label},id-{seed},10,20,{'validate' if split == 'val' else split}")
        (root / f"{split}.csv").write_text("\n".join(rows) + "\n")
    return {"kind": "list", "root": "", "train": "train.csv", "val": "val.csv"}


def kinetics600(root: Path) -> dict[str, str]:
    """The same with a root per split, a folder per class, and a file of class names."""
    for split in ("train", "val"):
        rows = ["label,youtube_id,time_start,time_end,split"]
        for label, _, seed in _clips(split):
            _video(root / f"{split}_256" / label.replace(" ", "_") / f"id{seed}_000001_000011.mkv", label, seed)
            rows.append(f'"{label}",id{seed},1,11,{split}')
        (root / f"{split}.csv").write_text("\n".join(rows) + "\n")
    (root / "names.json").write_text(json.dumps({name: number for number, name in enumerate(COLOURS)}))
    roots = {"root": "train_256", "val_root": "val_256"}
    return {"kind": "list", "train": "train.csv", "val": "val.csv", "labels": "names.json", **roots}


def something_v1(root: Path) -> dict[str, str]:
    """Folders of frames by number, lists of number;name, and the file of names."""
    for split, name in (("train", "train"), ("val", "validation")):
        rows = []
        for label, _, seed in _clips(split):
            _frames(root / "20bn-something-something-v1" / str(100 + seed), label, seed, "{:05d}.jpg")
            rows.append(f"{100 + seed};{PLAIN[label]}")
        (root / f"something-something-v1-{name}.csv").write_text("\n".join(rows) + "\n")
    (root / "something-something-v1-labels.csv").write_text("\n".join(PLAIN.values()) + "\n")
    lists = {key: f"something-something-v1-{name}.csv" for key, name in (("train", "train"), ("val", "validation"))}
    return {"kind": "something_v1", "root": "", "labels": "something-something-v1-labels.csv", **lists}


def something_v2(root: Path) -> dict[str, str]:
    """WebM files by number, JSON lists with templates, and the numbers of names."""
    for split, name in (("train", "train"), ("val", "validation")):
        rows = []
        for label, _, seed in _clips(split):
            _video(root / "20bn-something-something-v2" / f"{seed}.webm", label, seed)
            rows.append({"id": str(seed), "label": "dropping a shoe", "template": TEMPLATES[label]})
        (root / f"{name}.json").write_text(json.dumps(rows))
    (root / "labels.json").write_text(json.dumps({name: str(number) for number, name in enumerate(PLAIN.values())}))
    lists = {"train": "train.json", "val": "validation.json", "labels": "labels.json"}
    return {"kind": "something_v2", "root": "", **lists}


def folders(root: Path) -> dict[str, str]:
    """A folder per class with videos of several kinds, and litter."""
    for split, ending in (("train", "mp4"), ("val", "MTS")):
        for label, _, seed in _clips(split):
            _video(root / split / label / f"clip{seed}.{ending}", label, seed)
        (root / split / ".ipynb_checkpoints").mkdir()
    return {"kind": "folders", "root": "", "train": "train", "val": "val"}


def denseflow(root: Path) -> dict[str, str]:
    """A folder per class, a folder per clip, frames and flow in it."""
    for split in ("train", "val"):
        for label, _, seed in _clips(split):
            _frames(root / split / label / f"clip{seed}", label, seed, "img_{:05d}.jpg", flow=True)
    return {"kind": "folders", "root": "", "train": "train", "val": "val"}


def authors(root: Path) -> dict[str, str]:
    """The authors' lists: path, frames, number; folders of frames, and a file of names beside."""
    for split in ("train", "val"):
        rows = []
        for label, number, seed in _clips(split):
            folder = f"Kinetics_frame128/{label.replace(' ', '_')}/id{seed}"
            _frames(root / folder, label, seed, "{:06d}.jpg")
            rows.append(f"{folder} {FRAMES} {number}")
        (root / f"{split}_list.txt").write_text("\n".join(rows) + "\n")
    (root / "names.txt").write_text("\n".join(COLOURS) + "\n")
    return {"kind": "list", "root": "", "train": "train_list.txt", "val": "val_list.txt", "labels": "names.txt"}


def _config(folder: Path, tree: Path, chosen: dict[str, str]) -> list[str]:
    """What `load_config` and `sifa train` take: the recipe, and where the tree lies now."""
    (folder / "tiny.yaml").write_text(RECIPE)
    inside = {key: value if key == "kind" else str(tree / value) for key, value in chosen.items()}
    if chosen["kind"] == "folders":
        inside |= {"root": str(tree), "train": chosen["train"], "val": chosen["val"]}
    return [str(folder / "tiny.yaml"), *(f"data.{key}={value}" for key, value in inside.items())]


def _answers(folder: Path) -> dict[str, tuple[str, str]]:
    """Name of a video -> (true class, predicted class), of predictions.csv; no name comes twice."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {Path(row["video"]).name: (row["class"], row["predicted"]) for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], dict[str, str]]], Any]:
    """A tree -> (configuration where the data lies now, the run's folder); each is made once."""
    done: dict[str, Any] = {}

    def make(build: Callable[[Path], dict[str, str]]) -> Any:
        if build.__name__ not in done:
            folder = tmp_path_factory.mktemp(build.__name__)
            chosen = build(folder / "here")
            command = [*_config(folder, folder / "here", chosen), f"run.out={folder / 'run'}"]
            with pytest.raises(TrainingError, match="stopped after step 14"):
                train(load_config(command[0], command[1:]), quiet=True, stop_after=14)
            (folder / "here").rename(folder / "there")
            command = [*_config(folder, folder / "there", chosen), f"run.out={folder / 'run'}"]
            assert train(load_config(command[0], command[1:]), quiet=True).validation.accuracy == 1.0
            done[build.__name__] = (command, folder / "run")
        return done[build.__name__]

    return make


@pytest.mark.parametrize("build", [kinetics400, kinetics600, something_v1, something_v2, folders, denseflow, authors])
def test_from_a_tree_to_the_names_of_its_clips(build, trained, tmp_path):
    (path, *over), run = trained(build)
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps[-1] == 20
    names = PLAIN if build.__name__.startswith("something") else dict(zip(COLOURS, COLOURS, strict=True))
    data = load_config(path, over).data
    result = evaluate_checkpoint(run / "model.safetensors", data, clips=10, crops=3, out=tmp_path)
    assert result.labels == tuple(names.values())
    assert "10 clip(s) x 3 crop(s) of 32 x 32" in result.protocol
    answers = _answers(tmp_path)
    for label, _, seed in _clips("val"):
        (found,) = (pair for name, pair in answers.items() if str(seed) in name.replace("_0000", " "))
        assert found == (names[label], names[label])
    listed = (run / "data.txt").read_text()
    assert f"Training split: {3 * TRAIN} videos of 3 classes" in listed
    assert all(name in listed for name in names.values())


def test_the_command_names_a_clip_of_the_tree(trained, capsys):
    _, run = trained(kinetics400)
    clip = next((run.parent / "there" / "val").glob("id-70_*.mp4"))  # the first of "zumba"
    assert main(["predict", str(clip), "--model", str(run / "model.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"][0]["predictions"][0][0] == "zumba"


@pytest.mark.slow
def test_two_processes_in_mixed_precision_take_each_clip_once(trained, tmp_path):
    command, run = trained(kinetics400)
    config = load_config(command[0], command[1:])
    one = evaluate_checkpoint(run / "model.safetensors", config.data, clips=10, crops=3, out=tmp_path / "one")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "sifa_core"]
    views = ["--clips", "10", "--crops", "3", "--precision", "bf16"]
    options = [*views, "--device", "cpu", "--json", "-o", tmp_path / "two"]
    model = ["--model", run / "model.safetensors"]
    done = subprocess.run(
        [*map(str, (*launch, "evaluate", *options, *model))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)  # of one process only
    assert said["confusion"] == one.confusion.tolist()
    assert said["protocol"].endswith("softmax averaged over views, bf16")
    assert said["loss"] == pytest.approx(one.loss, abs=0.05)
    assert _answers(tmp_path / "two") == _answers(tmp_path / "one")
