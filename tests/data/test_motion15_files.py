"""motion15 written out as files and read back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sifa_core.data import read_clip
from sifa_core.data.datasets import View, open_dataset
from sifa_core.data.motion15 import LABELS, MotionConfig, make_dataset, render
from sifa_core.errors import ConfigError, ExportError

SMALL = MotionConfig(num_frames=6, height=48, width=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("motion")
    calls = []
    make_dataset(
        out, split="val", count=5, seed=9, config=SMALL, progress=lambda done, whole: calls.append((done, whole))
    )
    assert calls == [(i, 5) for i in range(1, 6)]
    return out


def test_clips_are_those_of_the_renderer(folder):
    for index in range(5):
        clip = read_clip(folder / "clips" / f"val_{index:06d}.mp4", 6, start=0, stride=1)
        truth = render(9, "val", index, SMALL)
        assert clip.frames.shape == truth.frames.shape
        error = np.abs(clip.frames.astype(float) - truth.frames).mean()
        assert error < 12  # H.264 halves the colour resolution and blurs grain
        assert clip.source.fps == pytest.approx(15, rel=0.01)


def test_flow_is_kept_to_half_precision(folder):
    stored = np.load(folder / "flow" / "val_000002.npz")
    truth = render(9, "val", 2, SMALL, truth=True)
    np.testing.assert_allclose(stored["flow"], truth.flow, rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(stored["moving"], truth.moving)


def test_list_and_facts_agree(folder):
    facts = json.loads((folder / "val.json").read_text())
    rows = [line.split() for line in (folder / "val.txt").read_text().splitlines()]
    assert [LABELS[int(number)] for _, number in rows] == [clip["label"] for clip in facts["clips"]]
    assert facts["seed"] == 9
    assert facts["config"] == {"num_frames": 6, "height": 48, "width": 64, "difficulty": 1.0, "between": 0.0}


def test_the_list_opens_as_a_data_set(folder):
    view = View(6, 1, 48, training=False)
    data = open_dataset("list", str(folder / "val.txt"), labels=str(folder / "labels.txt"), view=view)
    item = data[(3, 0)]
    assert data.labels == LABELS
    assert item.clips.shape == (1, 6, 48, 48, 3)
    assert item.label == render(9, "val", 3, SMALL).label


def test_bad_arguments_write_nothing(tmp_path):
    with pytest.raises(ConfigError, match="even"):
        make_dataset(tmp_path / "odd", config=MotionConfig(height=47))
    with pytest.raises(ConfigError, match="split"):
        make_dataset(tmp_path / "odd", split="all")
    with pytest.raises(ConfigError):
        make_dataset(tmp_path / "odd", count=0)
    assert not (tmp_path / "odd").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError):
        make_dataset(tmp_path / "file", count=1, config=SMALL)
