"""Fixtures of the page's tests: a small model whose offsets are not zero, clips, and a served page."""

from __future__ import annotations

import os

# Before PyTorch and Gradio load, as app/main.py does.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from app.service import Service
from sifa_core import Analysis, Clip, analyze, create_model, load_model
from sifa_core.models import VideoModel, save_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of one's own, so that predictions are shown, with offsets of about a cell."""
    torch.manual_seed(3)
    model = create_model("sifa_net_tiny")
    with torch.no_grad():
        for layer in model.sifa_layers().values():
            for name, parameter in layer.named_parameters():
                if "offset" in name:
                    parameter.normal_(std=0.3)
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "random.safetensors", model)


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> VideoModel:
    return load_model(checkpoint)


@pytest.fixture
def service(model: VideoModel) -> Service:
    return Service(model)


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Clip]:
    """A clip of noise; another seed is another clip."""

    def make(seed: int = 0, name: str = "noise.mp4", height: int = 72, width: int = 96) -> Clip:
        generator = np.random.default_rng(seed)
        return Clip.from_array(generator.integers(0, 256, (16, height, width, 3), dtype=np.uint8), name=name)

    return make


@pytest.fixture(scope="session")
def analysis(model: VideoModel, make_clip: Callable[..., Clip]) -> Analysis:
    return analyze(model, make_clip())
