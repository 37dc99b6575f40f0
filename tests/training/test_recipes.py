"""The recipes in configs/: they say what the 33 files of before said, every command works, every network builds."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import torch

from sifa_core.data.datasets import View
from sifa_core.errors import ConfigError
from sifa_core.models import create_model, load_model
from sifa_core.training import load_config
from sifa_core.training.build import build_model
from sifa_core.training.config import DataConfig, TrainConfig

CONFIGS = Path(__file__).parents[2] / "configs"
NOT_ALONE = {"paper", "motion15", "sifa_transformer_b"}
"""Files that others build on, or that are laid over others."""
ALONE = sorted(path for path in CONFIGS.glob("*.yaml") if path.stem not in NOT_ALONE)
PAPER = [path for path in ALONE if path.stem.startswith(("kinetics", "something"))]
TRANSFORMER = str(CONFIGS / "sifa_transformer_b.yaml")
LABELS = ("a", "b", "c")


def former() -> dict[str, dict[str, Any]]:
    """Name of each file that was a recipe of its own -> dotted field -> value, as it was resolved then."""
    content = json.loads(Path(__file__).with_name("former_recipes.json").read_text(encoding="utf-8"))
    return {
        name: content["all"] | group["all"] | own
        for group in content["groups"].values()
        for name, own in group["recipes"].items()
    }


def arguments(name: str) -> list[str]:
    """What to give `train` now for a former recipe, the first a file of configs/."""
    if not (found := re.fullmatch(r"(kinetics\d00|something_v\d)_(sifa_net_r\d+|sifa_transformer_b)_(\d+)", name)):
        return [str(CONFIGS / f"{name}.yaml")]
    dataset, model, frames = found.groups()
    chosen = [TRANSFORMER] if model == "sifa_transformer_b" else [f"model.name={model}", f"data.num_frames={frames}"]
    return [str(CONFIGS / f"{dataset}.yaml"), *chosen]


def load(command: list[str], *more: str) -> TrainConfig:
    return load_config(command[0], [*command[1:], *more])


def flat(config: TrainConfig) -> dict[str, Any]:
    """Dotted field -> value, tuples as lists."""
    parts = json.loads(json.dumps(dataclasses.asdict(config)))
    fields = {f"fields.{key}": value for key, value in parts["model"].pop("fields").items()}
    parts["model"] |= fields
    return {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}


@pytest.mark.parametrize("name", former())
def test_former_recipes_are_reached_by_one_command_and_say_the_same(name: str) -> None:
    config, expected = load(arguments(name)), former()[name]
    found = flat(config)
    assert {key: found.get(key) for key in expected} == expected
    defaults = flat(TrainConfig(data=DataConfig(kind="folders", train="a", val="b")))
    assert all(found[key] == defaults[key] for key in found.keys() - expected.keys()), "what is newer changes nothing"
    if config.data.crop == 224:
        assert View(crop=224).short_side_range == config.data.short_sides == (256, 340)
    with torch.device("meta"):  # shapes only: a ResNet-101 would take seconds to draw
        model = build_model(load(arguments(name), "model.weights="), LABELS)
    assert (model.info.labels, model.info.num_frames) == (LABELS, config.data.num_frames)
    assert len(model.sifa_layers()) >= 5


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_says_what_it_is_and_how_it_is_run(path: Path) -> None:
    header = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    assert header.startswith(f"# {path.stem}: ")
    commands = re.findall(r"-m sifa_core train (.+)", header)
    for command in commands:
        assert load([str(CONFIGS.parent / word) if word.endswith(".yaml") else word for word in command.split()])
    if path in ALONE:
        assert commands
        assert all(word in header for word in ("Result:", "Time:"))


def test_a_batch_that_does_not_divide_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot be completed: 32 does not divide by 12"):
        load_config(PAPER[0], ["run.batch=12"])


@pytest.fixture(scope="module")
def image_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow ResNet-50 for pictures, in a file as the Hub has it."""
    state = create_model("sifa_net_r50", width=8, temporal="none", num_classes=10).state_dict()
    state["conv1.weight"] = state["conv1.weight"][:, :, 0]
    state = {key: value.contiguous() for key, value in state.items()}
    path = tmp_path_factory.mktemp("image") / "model.safetensors"
    safetensors.torch.save_file(state, path, {"format": "pt"})
    return path


@pytest.mark.parametrize("source", ["imagenet", "file"])
def test_a_recipe_starts_from_an_image_network(
    image_network: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *names: str(image_network))
    weights = source if source == "imagenet" else str(image_network)
    model = build_model(load_config(PAPER[0], [f"model.weights={weights}", "model.fields.width=8"]), LABELS)
    state = safetensors.torch.load_file(image_network)
    assert torch.equal(model.state_dict()["layer3.2.conv1.weight"], state["layer3.2.conv1.weight"])
    assert model.config.gate == "channel"
    assert model.info.labels == LABELS
    assert model.info.facts["start"]["left_out_of_the_file"] == ["fc.bias", "fc.weight"]


def test_own_videos_are_seen_as_large_as_the_shipped_model_saw_its_clips() -> None:
    """And with as many frames, from that model's weights."""
    config = load_config(CONFIGS / "own_videos.yaml")
    shipped = load_model(config.model.weights).info
    assert (config.data.crop, config.data.num_frames) == (shipped.input_size, shipped.num_frames)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ["kinetics400"],
            {
                "run.steps": 40_000,
                "run.batch": 24,
                "data.stride": 1,
                "optimizer.warmup_steps": 625,
                "optimizer.lr": 0.04,
            }
            | {"augment.crop": "resized", "augment.jitter": [0.4, 0.4, 0.4, 0.1], "augment.rand_augment": 0},
        ),
        (["kinetics400", "data.num_frames=32"], {"run.steps": 80_000, "run.batch": 12, "optimizer.loss_weight": 4.0}),
        (["kinetics600"], {"run.steps": 65_000, "model.fields.preset": "official", "run.mixed_precision": "no"}),
        (
            ["something_v1"],
            {"optimizer.lr": 0.02, "optimizer.warmup_steps": 1120, "augment.rand_augment": 2, "augment.magnitude": 27.0}
            | {"data.flip": False, "augment.jitter": [], "optimizer.clip_norm": 40.0, "optimizer.nesterov": False},
        ),
        (["something_v2"], {"optimizer.lr": 0.02, "run.steps": 28_167, "augment.rand_augment": 2}),
        (
            ["kinetics400", TRANSFORMER],
            {"model.weights": "imagenet22k", "data.stride": 2, "run.steps": 60_000, "optimizer.lr": 0.01},
        ),
    ],
    ids=" ".join,
)
def test_the_authors_recipe_says_what_they_published(command: list[str], expected: dict[str, Any]) -> None:
    name, *over = command
    config = load([str(CONFIGS / f"{name}.yaml"), *over], "recipe=official")
    found = flat(config)
    assert {key: found[key] for key in expected} == expected
    if config.model.name == "sifa_net_r50":
        assert config.run.batch * config.run.accumulation * 4 * config.data.num_frames == 384 * 16
    with torch.device("meta"):
        model = build_model(load([str(CONFIGS / f"{name}.yaml"), *over], "recipe=official", "model.weights="), LABELS)
    assert model.config.last_frame == "skip"


def test_a_recipe_is_chosen_by_its_name(tmp_path: Path) -> None:
    """Each file's part of it comes right after the file; what the command names counts more than all."""
    (tmp_path / "base.yaml").write_text(
        "recipe: a\nrun: {steps: 1}\nrecipes: {a: {}, b: {run: {steps: 2, batch: 2}}}\n"
    )
    file = tmp_path / "own.yaml"
    file.write_text("base: base.yaml\nrecipes: {b: {run: {seed: '${run.steps}'}}}\n")
    over = tmp_path / "over.yaml"
    over.write_text("run: {batch: 5}\nrecipes: {b: {optimizer: {lr: 0.5}}}\n")
    plain, other = load_config(file).run, load_config(file, ["recipe=b"]).run
    assert (plain.steps, plain.seed) == (1, 0)
    assert (other.steps, other.batch, other.seed) == (2, 2, 2)
    whole = load_config(file, ["recipe=b", str(over), "run.steps=7"])
    assert (whole.run.steps, whole.run.batch, whole.run.seed, whole.optimizer.lr) == (7, 5, 7, 0.5)
    with pytest.raises(ConfigError, match=r"no recipe 'c' in .*own.yaml; choose one of a, b\."):
        load_config(file, ["recipe=c"])
    (tmp_path / "none.yaml").write_text("run: {steps: 1}\n")
    with pytest.raises(ConfigError, match="no recipe 'a' in .*none.yaml; it has none"):
        load_config(tmp_path / "none.yaml", ["recipe=a"])
