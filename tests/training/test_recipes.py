"""Every configuration in the repository builds its network; what it cannot fetch yet is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sifa_core.errors import ConfigError
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


def test_imagenet_weights_are_refused_in_words() -> None:
    config = load_config(RECIPES[0], ["model.weights=imagenet"])
    with pytest.raises(ConfigError, match="ImageNet weights cannot be fetched by this version"):
        build_model(config, LABELS)
