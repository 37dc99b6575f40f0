"""Configurations: what they read, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sifa_core.data.datasets import View
from sifa_core.errors import ConfigError
from sifa_core.training.build import build_model
from sifa_core.training.config import TrainConfig, from_dict, load_config, to_dict

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def write(path, content: str):
    path.write_text(content, encoding="utf-8")
    return path


def test_values_and_overrides(tmp_path):
    file = write(tmp_path / "a.yaml", "optimizer: {lr: 1e-2}\ndata: {shapes: [[64, 96]]}\nrun: {mixed_precision: no}\n")
    config = load_config(
        file, ["optimizer.weight_decay=0", "model.switches.temporal=none", "data.short_sides=[256, 320]"]
    )
    assert config.optimizer.lr == 0.01
    assert config.optimizer.weight_decay == 0.0
    assert isinstance(config.optimizer.weight_decay, float)
    assert config.model.switches == {"temporal": "none"}
    assert config.data.shapes == ((64, 96),)
    assert config.data.short_sides == (256, 320)
    assert config.run.mixed_precision == "no"
    assert config.run.batch == 32


def test_a_configuration_survives_its_own_dictionary(tmp_path):
    config = load_config(write(tmp_path / "a.yaml", "data: {shapes: [[64, 96]]}"), ["run.seed=3"])
    assert from_dict(TrainConfig, to_dict(config)) == config
    assert from_dict(TrainConfig, yaml.safe_load(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("optimiser: {}", "optimiser"),
        ("run: {step: 3}", "step"),
        ("run: {steps: many}", "run.steps='many'"),
        ("run: {steps: 0}", "at least 1"),
        ("run: {steps: true}", "run.steps=True"),
        ("optimizer: {lr: 0}", "above 0"),
        ("optimizer: {lr: .nan}", "lr=nan"),
        ("optimizer: {lr: .inf}", "finite"),
        ("optimizer: {clip_norm: .nan}", "clip_norm=nan"),
        ("optimizer: {weight_decay: .inf}", "weight_decay=inf"),
        (f"optimizer: {{lr: {10**400}}}", "not of type float"),
        ("data: {shapes: [[96, 96], [16, 16]]}", r"data.shapes=.*16.* sides lie from 32 to 512"),
        ("data: {shapes: [[96, 600]]}", "data.shapes=.*600"),
        ("optimizer: {ema_decay: 1.0}", "below 1"),
        ("optimizer: {name: adam}", "sgd, adamw"),
        ("data: {kind: list}", "data.train"),
        ("{optimizer: {offset_target: motion}, data: {kind: list, train: a, val: b}}", "needs data.kind=motion15"),
        ("data: {kind: list, train: a, val: b, crop: 300, short_sides: [256, 340]}", "short_sides"),
        ("data: {short_sides: [1, 2, 3]}", "short_sides"),
        ("data: 3", "data"),
        ("- 1", "keys and values"),
        ("a: [", "YAML"),
    ],
)
def test_mistakes_are_named(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path / "bad.yaml", content))


def test_bad_overrides_and_files(tmp_path):
    file = write(tmp_path / "a.yaml", "run: {steps: 3}")
    for override in ("run.steps", "=3", "run.steps.more=3", "run.speed=3", "run.steps=[", "run=3"):
        with pytest.raises(ConfigError):
            load_config(file, [override])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_recipes_of_the_paper_have_its_short_sides_written_or_derived(path):
    for overrides in ([], ["data.short_sides=[]"]):
        data = load_config(path, overrides).data
        if data.kind != "motion15" and data.crop == 224:
            assert View(crop=data.crop, short_sides=data.short_sides).short_side_range == (256, 340)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations_are_valid_and_say_what_they_are(path):
    text = path.read_text(encoding="utf-8")
    header = "".join(line for line in text.splitlines(True) if line.startswith("#"))
    assert path.stem in header
    for word in ("-m sifa_core train", "Result:", "Time:"):
        assert word in header
    config = load_config(path)
    labels = tuple(f"class {i}" for i in range(7))
    small = ["run.batch=1", "model.weights=", "model.switches.width=4"]
    network = build_model(load_config(path, small), labels)
    assert network.info.labels == labels
    assert network.info.num_frames == config.data.num_frames
    assert network.config.num_classes == 7


def test_a_model_switch_that_does_not_exist_is_an_error(tmp_path):
    config = load_config(write(tmp_path / "a.yaml", "model: {switches: {depth: 3}}"))
    with pytest.raises(ConfigError, match="depth"):
        build_model(config, ("a", "b"))
