"""Configurations: what they read, and what they refuse."""

from __future__ import annotations

import json

import pytest
import yaml

from sifa_core.errors import ConfigError
from sifa_core.training.build import build_model
from sifa_core.training.config import TrainConfig, from_dict, to_dict
from sifa_core.training.recipe import load_config


def write(path, content: str):
    path.write_text(content, encoding="utf-8")
    return path


def test_values_and_overrides(tmp_path):
    file = write(tmp_path / "a.yaml", "optimizer: {lr: 1e-2}\ndata: {shapes: [[64, 96]]}\nrun: {mixed_precision: no}\n")
    config = load_config(
        file, ["optimizer.weight_decay=0", "model.fields.temporal=none", "data.short_sides=[256, 320]"]
    )
    assert config.optimizer.lr == 0.01
    assert config.optimizer.weight_decay == 0.0
    assert isinstance(config.optimizer.weight_decay, float)
    assert config.model.fields == {"temporal": "none"}
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
        ("run: {step: 3}", r"run has no field step \(did you mean steps\?\)"),
        ("data: {flip: 3}", "data.flip=3 is not of type bool"),
        ("data: {short_sides: [a, b]}", r"data.short_sides=\['a', 'b'\] is not of type"),
        ("data: {short_sides: 3}", "data.short_sides=3"),
        ("data: {shapes: [96, 96]}", r"data.shapes=\[96, 96\]"),
        ("data: {shapes: [[96, 96, 3]]}", "data.shapes=.* is not possible"),
        ("model: {name: 3}", "model.name=3 is not of type str"),
        ("model: {name: null}", "model.name=None is not of type str"),
        ("run: {steps: '3'}", "run.steps='3' is not of type int"),
        ("run: {steps: 3.5}", "run.steps=3.5 is not of type int"),
        ("run: {out: '${run.gone}'}", "'run.gone' not found"),
        ("run: {steps: '${divide:7,2}'}", "7 does not divide by 2"),
        ("base: bad.yaml", "builds on itself"),
        ("base: gone.yaml", "gone.yaml cannot be read"),
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
    for override in ("run.steps", "=3", "run.steps.more=3", "run.speed=3", "run.steps=[", "run=3", "gone.yaml"):
        with pytest.raises(ConfigError):
            load_config(file, [override])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nothing.yaml")


def test_a_field_that_the_architecture_lacks_is_an_error(tmp_path):
    config = load_config(write(tmp_path / "a.yaml", "model: {fields: {depth: 3}}"))
    with pytest.raises(ConfigError, match="depth"):
        build_model(config, ("a", "b"))


def test_layers_and_what_follows_from_others(tmp_path):
    write(
        tmp_path / "first.yaml", "data: {num_frames: 16, seed: 4}\nrun: {batch: '${divide:512,${data.num_frames}}'}\n"
    )
    file = write(tmp_path / "second.yaml", "base: first.yaml\nrun: {out: 'runs/${model.name}'}\n")
    over = write(tmp_path / "third.yaml", "data: {num_frames: 64}\nmodel: {fields: {temporal: none, width: 8}}\n")
    config = load_config(file, [str(over), "model.name=sifa_net_r50", "model.fields.width=16", "data.seed=5"])
    assert (config.data.num_frames, config.data.seed, config.run.batch) == (64, 5, 8)
    assert config.run.out == "runs/sifa_net_r50"
    assert config.model.fields == {"temporal": "none", "width": 16}
    later = load_config(file, ["model.fields.width=16", str(over)])
    assert later.model.fields["width"] == 8, "the later one counts"


def test_the_older_name_of_the_architectures_fields_is_read(tmp_path):
    """As the configurations of runs and checkpoints have it that are older than the name."""
    file = write(tmp_path / "a.yaml", "model: {switches: {temporal: none, width: 8}}")
    assert load_config(file, ["model.fields.width=4"]).model.fields == {"temporal": "none", "width": 4}
