"""Variants of a recipe beside each other: every run measured once, the table made of what was measured."""

from __future__ import annotations

import json
import runpy
import shlex
import sys

import numpy as np
import pytest
import yaml

from sifa_core.errors import ConfigError
from sifa_core.models import load_model
from sifa_core.training import variants as module
from sifa_core.training.variants import compare, table


def test_compare(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    content = {
        "model": {"fields": {"width": 4, "layers": [1, 1, 1, 1]}},
        "data": {"crop": 32, "num_frames": 8, "val_size": 3, "workers": 0},
        "optimizer": {"name": "adamw", "lr": 0.001},
        "run": {"steps": 50, "batch": 2},
    }
    recipe.write_text(yaml.safe_dump(content))
    variants = {"plain": ["model.fields.temporal=none"], "regular": ["model.fields.temporal=sifa_r"]}
    said: list[str] = []
    out = tmp_path / "out"
    results = compare(recipe, variants, [0, 5], out, overrides=["run.steps=2"], clips=15, say=said.append)
    assert said == ["plain, seed 0", "regular, seed 0", "plain, seed 5", "regular, seed 5"]
    assert {name: [run["videos"] for run in runs] for name, runs in results.items()} == {
        "plain": [15, 15],
        "regular": [15, 15],
    }
    model = load_model(out / "regular-5" / "model.safetensors")
    assert model.config.temporal == "sifa_r"
    assert model.info.facts["step"] == 2
    assert model.info.facts["training"]["data"]["seed"] == 5
    assert json.loads((out / "comparison.json").read_text()) == results
    text = (out / "comparison.md").read_text()
    tops = [100 * run["top1"] for run in results["plain"]]
    assert f"| **all** | 30 | {np.mean(tops):.1f} ± {np.std(tops, ddof=1):.1f} |" in text
    before = (out / "plain-0" / "model.safetensors").stat().st_mtime_ns
    assert compare(recipe, variants, [0, 5], out, overrides=["run.steps=2"], clips=15, say=said.append) == results
    assert (out / "plain-0" / "model.safetensors").stat().st_mtime_ns == before, "a finished run is taken as it is"
    between = compare(
        recipe, variants, [0, 5], out, overrides=["run.steps=2"], clips=15, control="between", say=said.append
    )
    assert json.loads((out / "comparison_between.json").read_text()) == between != results
    assert json.loads((out / "comparison.json").read_text()) == results, "each has its files"


def test_the_command_in_its_description_is_understood(monkeypatch, tmp_path):
    """It gets as far as reading the configuration, which is not there."""
    monkeypatch.chdir(tmp_path)
    command = module.__doc__.split("`")[1].replace("CONFIG", "gone.yaml")
    monkeypatch.setattr(sys, "argv", shlex.split(command)[2:])
    with pytest.raises(SystemExit, match=r"^error: The configuration gone.yaml cannot be read"):
        runpy.run_path(module.__file__, run_name="__main__")


def test_one_seed_has_no_spread_and_none_is_an_error(tmp_path):
    run = {"videos": 4, "top1": 0.25, "by_speed": {"still": {"accuracy": 0.5, "clips": 4}}}
    assert table({"only": [run]}).splitlines()[2:] == ["| still | 4 | 50.0 |", "| **all** | 4 | 25.0 |"]
    with pytest.raises(ConfigError, match="at least one"):
        compare(tmp_path / "a.yaml", {}, [0], tmp_path)
