"""What a model makes of a video moment by moment is what it makes of those windows alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sifa_core import load_model, read_clip, video_timeline
from sifa_core.cli import main
from sifa_core.data.isolated import shared_readers
from sifa_core.data.reading import Course
from sifa_core.inference import predict
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from sifa_core.timeline import FEWEST_WINDOWS, MOST_WINDOWS, Moment, Timeline, number_of_windows

CLIP = EXAMPLE_CLIPS / "cockatoo_moves_right.mp4"


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return load_model("sifa_net_tiny")


def test_each_moment_is_what_its_window_alone_gives(model: VideoModel) -> None:
    told: list[tuple[int, int]] = []
    found = video_timeline(model, CLIP, 3, progress=lambda done, count: told.append((done, count)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    source = read_clip(CLIP, 16).source
    assert len(found.course.timestamps) == source.num_frames
    assert [moment.stride for moment in found.moments] == [source.stride] * 3
    assert found.moments[0].start == 0
    for moment in found.moments:
        alone = read_clip(CLIP, 16, start=moment.start, stride=moment.stride, max_short_side=2 * model.info.input_size)
        assert moment.seconds == (alone.timestamps[0], alone.timestamps[-1])
        expected = dict(predict(model, alone))
        for number, label in enumerate(found.labels):  # pictures are made smaller in another order, which rounds
            assert moment.probabilities[number] == pytest.approx(expected[label], abs=0.02)


def test_readers_that_may_die_give_the_same(model: VideoModel) -> None:
    here, there = video_timeline(model, CLIP, 2), video_timeline(model, CLIP, 2, readers=shared_readers())
    for one, other in zip(here.moments, there.moments, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def test_windows_are_as_many_as_the_video_is_long() -> None:
    assert number_of_windows(0.4) == FEWEST_WINDOWS
    assert number_of_windows(15.2) == 15
    assert number_of_windows(600) == MOST_WINDOWS


def test_the_classes_of_a_timeline_are_those_that_matter_at_some_moment() -> None:
    rows = [[0.6, 0.1, 0.3, 0.0], [0.5, 0.45, 0.0, 0.05], [0.9, 0.0, 0.0, 0.1]]
    moments = tuple(
        Moment(start, 2, (start / 25, start / 25 + 1), np.array(row, np.float32)) for start, row in enumerate(rows)
    )
    motion = np.array([0.0, 0.01, np.nan, 0.02])
    found = Timeline(("a", "b", "c", "d"), Course(np.arange(4) / 25, motion), moments)
    assert found.best(3) == [0, 1, 2]
    assert found.cuts == [0.08]
    told = json.loads(json.dumps(found.to_dict(1)))
    assert told["motion"] == [0.0, 0.01, None, 0.02]
    assert [moment["predictions"][0]["label"] for moment in told["moments"]] == ["a", "a", "a"]
    assert found.to_dict(1, is_trained=False)["moments"][0]["predictions"] is None


def test_the_command_prints_a_line_a_moment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(CLIP), "--windows", "2", "--top", "1", "--trusted"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "0.00 to" in lines[0]
    assert "--start 0 --stride" in lines[0]
    assert any(label in lines[1] for label in load_model("sifa_net_tiny").info.labels)
    assert main(["timeline", str(CLIP), "--windows", "2", "--json", "--trusted"]) == 0
    assert len(json.loads(capsys.readouterr().out)["moments"]) == 2


def test_what_is_no_video_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    assert main(["timeline", str(tmp_path / "text.mp4"), "--trusted"]) == 2
    assert capsys.readouterr().err.startswith("error: text.mp4")
