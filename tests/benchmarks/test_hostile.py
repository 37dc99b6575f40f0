"""The run against hostile files counts what came of each, and tells a wrong answer from a right one."""

from __future__ import annotations

import sys

import pytest

from benchmarks import hostile
from tests.data import hostile as files


def test_every_kind_of_file_has_a_size():
    assert set(hostile.SIZES) == set(files.EXHAUSTING)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no workers")
def test_files_are_sent_and_counted(capsys):
    assert hostile.main(["--files", "6", "--exhausting", "0", "--only-read"]) == 0
    lines = dict(line.rsplit(": ", 1) for line in capsys.readouterr().out.splitlines())
    counts = {sort: int(number) for sort, number in lines.items() if sort.startswith(("damaged", "good"))}
    assert counts["good: answered"] == 2
    assert sum(counts.values()) == 8
    assert "MB" in lines["largest other process"]


def test_wrong_answers_are_found():
    answers = hostile.Answers()
    right = {"predictions": [1]}
    hostile.count(answers, "good.mp4", "good", right, 1.0, right)
    hostile.count(answers, "good.mp4", "good", {"predictions": [2]}, 3.0, right)
    hostile.count(answers, "good.mp4", "good", "The server is busy.", 1.0, right)
    hostile.count(answers, "seed_1.mp4", "damaged", "seed_1.mp4 is broken.", 1.0, right)
    hostile.count(answers, "seed_2.mp4", "damaged", "Traceback (most recent call last):\n KeyError", 2.0, right)
    assert [line.split(":")[0] for line in answers.wrong] == ["good.mp4", "good.mp4", "seed_2.mp4"]
    assert (answers.slowest, answers.slowest_name) == (3.0, "good.mp4")
    assert answers.sorts["damaged: refused in a sentence"] == 1
