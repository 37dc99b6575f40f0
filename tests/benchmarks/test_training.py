"""The training benchmark runs the recipe it is given and accounts for all of the time."""

from __future__ import annotations

import pytest
import yaml

from benchmarks import training
from sifa_core.training import load_config


@pytest.fixture
def recipe(tmp_path):
    content = {
        "model": {"fields": {"width": 4, "layers": [1, 1, 1, 1]}},
        "data": {"crop": 32, "num_frames": 4, "workers": 0},
        "run": {"batch": 2},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_report(recipe, monkeypatch, capsys):
    monkeypatch.setattr(training, "STEPS", 6)
    monkeypatch.setattr(training, "LOG", 2)
    monkeypatch.setattr(training, "WARM_STEPS", 2)
    training.main([str(recipe), "run.batch=3"])
    lines = capsys.readouterr().out.splitlines()
    assert float(lines[0].split(" ")[0]) > 0
    rows = {row.split("|")[1].strip(): row.split("|")[3] for row in lines[4:]}
    assert list(rows) == ["drawing clips", *training.PARTS, "the rest"]
    assert sum(int(fraction.strip(" %")) for fraction in rows.values()) == pytest.approx(100, abs=3)


def test_every_part_has_its_time(recipe):
    parts = training.seconds_by_part(load_config(recipe))
    assert min(parts.values()) > 0


def test_a_bad_recipe_is_one_line(recipe):
    with pytest.raises(SystemExit, match="error: run has no field stepz"):
        training.main([str(recipe), "run.stepz=3"])
