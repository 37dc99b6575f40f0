"""Fixtures of the page's tests: a small model whose offsets are not zero, and clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.service import Service
from sifa_core import Analysis, Clip, analyze, load_model
from sifa_core.models import VideoModel
from tests.small_models import save_with_offsets


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_with_offsets(tmp_path_factory.mktemp("weights") / "random.safetensors", input_size=64)


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
