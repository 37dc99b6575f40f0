"""What an evaluation by a checkpoint's name refuses, and what it measures on a data set of files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sifa_core.data.motion15 import LABELS
from sifa_core.data.mp4 import write_mp4
from sifa_core.errors import ConfigError, ExportError
from sifa_core.models import create_model
from sifa_core.models.base import VideoModel
from sifa_core.training import evaluate_checkpoint, evaluation
from sifa_core.training.config import DataConfig


def model(*labels: str) -> VideoModel:
    network = create_model("sifa_net_tiny", width=4, num_frames=4, input_size=32, num_classes=len(labels))
    network.info = dataclasses.replace(network.info, labels=labels)
    return network


@pytest.fixture
def files(tmp_path) -> DataConfig:
    """Two videos of two classes, "run" being class 0."""
    for name in ("a", "b"):
        write_mp4(tmp_path / f"{name}.mp4", np.full((8, 48, 64, 3), 90, np.uint8), 10)
    (tmp_path / "val.txt").write_text("a.mp4 run\nb.mp4 walk\n")
    (tmp_path / "labels.txt").write_text("run\nwalk\n")
    listing = str(tmp_path / "val.txt")
    return DataConfig("list", str(tmp_path), listing, listing, str(tmp_path / "labels.txt"), workers=0)


def test_files_are_measured_by_the_named_views(files):
    result = evaluate_checkpoint(model("run", "walk"), files, clips=2, crops=3)
    assert result.confusion.sum(axis=1).tolist() == [1, 1]
    assert "list val.txt, 2 videos, 2 clip(s) x 3 crop(s) of 32 x 32, 4 frames" in result.protocol


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (("walk", "run"), "Class 0 is 'walk' to sifa_net_tiny, but 'run' in the data set"),
        (("run", "jump"), "Class 1 is 'jump' to sifa_net_tiny, but 'walk' in the data set"),
        (("run", "walk", "jump"), "has 3 classes, but the data set has 2"),
    ],
)
def test_other_classes_are_refused(files, known, message):
    with pytest.raises(ConfigError, match=message):
        evaluate_checkpoint(model(*known), files)


def test_a_model_without_class_names_takes_those_of_the_data_set(files):
    assert evaluate_checkpoint(model("class 0", "class 1"), files).labels == ("run", "walk")


@pytest.mark.parametrize("control", ["shuffled", "nonsense"])
def test_files_have_no_controls(files, control):
    with pytest.raises(ConfigError, match=f"no control '{control}' for a data set of files"):
        evaluate_checkpoint(model("run", "walk"), files, control=control)


@pytest.mark.parametrize("views", [{"clips": 2}, {"crops": 3}])
def test_motion15_has_one_view(views):
    with pytest.raises(ConfigError, match="motion15 has no"):
        evaluate_checkpoint(model(*LABELS), DataConfig(workers=0), size=15, **views)


def test_a_place_that_cannot_be_written_costs_no_evaluation(files, tmp_path, monkeypatch):
    monkeypatch.setattr(
        evaluation, "evaluate", lambda *things, **options: pytest.fail("the mistake should cost nothing")
    )
    for out, reason in ((tmp_path / "val.txt", "File exists"), (tmp_path / "val.txt" / "x", "Not a directory")):
        with pytest.raises(ExportError, match=rf"^The folder {out} cannot be written to: {reason}\.$"):
            evaluate_checkpoint(model("run", "walk"), files, out=out)


def test_a_mistake_leaves_no_folder(files, tmp_path):
    with pytest.raises(ConfigError):
        evaluate_checkpoint(model("walk", "run"), files, out=tmp_path / "report")
    assert not (tmp_path / "report").exists()
