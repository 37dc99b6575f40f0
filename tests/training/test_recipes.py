"""Every configuration in the repository builds its network, and those of the paper start from an image network."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch

from sifa_core.models import create_model, load_model
from sifa_core.training import load_config
from sifa_core.training.build import build_model

RECIPES = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
LABELS = ("a", "b", "c")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_builds(path: Path) -> None:
    with torch.device("meta"):  # shapes only: a ResNet-101 would take seconds to draw
        model = build_model(load_config(path, ["model.weights="]), LABELS)
    assert model.info.labels == LABELS
    assert len(model.sifa_layers()) >= 5


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
    recipe = next(path for path in RECIPES if path.stem == "kinetics400_sifa_net_r50_16")
    model = build_model(load_config(recipe, [f"model.weights={weights}", "model.switches.width=8"]), LABELS)
    state = safetensors.torch.load_file(image_network)
    assert torch.equal(model.state_dict()["layer3.2.conv1.weight"], state["layer3.2.conv1.weight"])
    assert model.config.gate == "channel"
    assert model.info.labels == LABELS
    assert model.info.facts["start"]["left_out_of_the_file"] == ["fc.bias", "fc.weight"]


def test_the_recipes_of_the_paper_start_from_imagenet() -> None:
    others = {path.stem for path in RECIPES if load_config(path).model.weights != "imagenet"}
    assert others == {path.stem for path in RECIPES if path.stem.startswith(("motion15", "own_videos"))}


def test_own_videos_are_seen_as_large_as_the_shipped_model_saw_its_clips() -> None:
    """And with as many frames, from that model's weights."""
    config = load_config(next(path for path in RECIPES if path.stem == "own_videos"))
    shipped = load_model(config.model.weights).info
    assert (config.data.crop, config.data.num_frames) == (shipped.input_size, shipped.num_frames)
