"""Learning curves are read from the log, and drawn."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from sifa_core.errors import ExportError
from sifa_core.training.curve import LogError, draw_curve, read_log


def write_log(folder, rows):
    folder.mkdir()
    lines = [json.dumps({"phase": phase, "step": step, "loss": loss, "top1": top}) for phase, step, loss, top in rows]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_the_later_line_of_a_step_counts(tmp_path):
    folder = write_log(
        tmp_path / "run",
        [("train", 20, 2.0, 0.1), ("train", 40, 1.0, 0.5), ("val", 40, 1.5, 0.4), ("train", 40, 0.8, 0.6)],
    )
    assert read_log(folder) == {"train": {20: (2.0, 0.1), 40: (0.8, 0.6)}, "val": {40: (1.5, 0.4)}}


def test_curves_follow_one_another(tmp_path):
    rows = [("train", step, 3 - step / 100, step / 300) for step in range(20, 220, 20)] + [("val", 200, 1.1, 0.6)]
    first, second = write_log(tmp_path / "a", rows), write_log(tmp_path / "b", rows)
    picture = cv2.imread(str(draw_curve([first, second], tmp_path / "curve.png")))
    alone = cv2.imread(str(draw_curve([first], tmp_path / "alone.png")))
    assert picture.shape == alone.shape
    blue = np.array([0xD1, 0x5F, 0x1D])
    columns = [
        np.flatnonzero((np.abs(found.astype(int) - blue).max(axis=2) < 40).any(axis=0)) for found in (picture, alone)
    ]
    assert all(len(found) > 50 for found in columns)
    assert (picture != alone).mean() > 0.005


def test_places_and_endings_that_cannot_be_written_are_one_line(tmp_path):
    folder = write_log(tmp_path / "run", [("train", 20, 2.0, 0.1)])
    with pytest.raises(ExportError, match=r"gone/curve.png cannot be written: No such file or directory\."):
        draw_curve([folder], tmp_path / "gone" / "curve.png")
    with pytest.raises(ExportError, match=r"the ending must be one of \.png, \.svg"):
        draw_curve([folder], tmp_path / "curve.doc")


def test_what_is_no_log_is_one_line(tmp_path):
    with pytest.raises(LogError, match="no readable"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").write_text("nonsense\n")
    with pytest.raises(LogError, match="not the log"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(LogError, match="no line"):
        read_log(tmp_path)
