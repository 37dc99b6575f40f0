"""A run's data: checked before the first step, listed for people, and free to move between two parts of a run."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from sifa_core.data.datasets import DatasetError
from sifa_core.data.motion15 import MotionConfig, make_dataset
from sifa_core.errors import ConfigError
from sifa_core.training import TrainingError, train
from sifa_core.training.config import TrainConfig as Config
from sifa_core.training.config import from_dict


def settings(root, out, **data) -> Config:
    content = {
        "model": {"name": "sifa_net_tiny", "fields": {"width": 8, "layers": [1, 1, 1, 1]}},
        "data": {
            "kind": "list",
            "root": str(root),
            "train": str(root / "train.txt"),
            "val": str(root / "val.txt"),
            "labels": str(root / "labels.txt"),
            "num_frames": 4,
            "crop": 32,
            "short_sides": [32, 40],
            "flip": False,
            "workers": 0,
        }
        | data,
        "optimizer": {"name": "adamw", "lr": 0.01},
        "run": {"out": str(out), "steps": 3, "batch": 2, "save_every": 1},
    }
    return from_dict(Config, content)


@pytest.fixture
def files(tmp_path):
    for split, count in (("train", 6), ("val", 3)):
        make_dataset(tmp_path / "here", split=split, count=count, config=MotionConfig(4, 48, 48), flow=False)
    return tmp_path / "here"


def test_a_run_goes_on_after_its_data_has_moved(files, tmp_path):
    """As if nothing had happened, and not with other data."""
    train(settings(files, tmp_path / "whole"), quiet=True)
    with pytest.raises(TrainingError, match="stopped after step 2"):
        train(settings(files, tmp_path / "run"), quiet=True, stop_after=2)
    moved = files.rename(tmp_path / "there")
    train(settings(moved, tmp_path / "run"), quiet=True)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    listed = (tmp_path / "run" / "data.txt").read_text()
    assert "Training split: 6 videos of" in listed
    assert "Validation split: 3 videos of" in listed
    lines = (moved / "train.txt").read_text().splitlines()
    (moved / "train.txt").write_text("\n".join(reversed(lines)) + "\n")
    with pytest.raises(ConfigError, match="other videos, classes or another order"):
        train(settings(moved, tmp_path / "run"), quiet=True)


def test_validation_data_is_opened_before_the_first_step(files, tmp_path):
    (files / "val.txt").write_text("clips/val_000000.mp4 99\n")
    with pytest.raises(DatasetError, match=r"'99' of val_000000.mp4 \(line 1 of val.txt\)"):
        train(settings(files, tmp_path / "run"), quiet=True)
    assert not (tmp_path / "run" / "log.jsonl").exists()
