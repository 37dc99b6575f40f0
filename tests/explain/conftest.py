"""One small analysis whose offsets are alive, shared by the tests of this folder."""

import numpy as np
import pytest

from sifa_core.data import Clip
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.models import VideoModel
from tests.small_models import model_with_offsets

HEIGHT, WIDTH = 90, 130
"""Not multiples of the model's stride, so that pixels per cell are no whole numbers."""


@pytest.fixture(scope="session")
def clip() -> Clip:
    """A bright square that moves right over a textured ground, 16 frames."""
    ground = np.random.default_rng(0).integers(0, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    frames = np.repeat(ground[None], 16, axis=0)
    for t in range(16):
        frames[t, 30:55, 5 + 6 * t : 30 + 6 * t] = (250, 240, 90)
    return Clip.from_array(frames, fps=25, name="square.mp4")


@pytest.fixture(scope="session")
def model() -> VideoModel:
    return model_with_offsets()


@pytest.fixture(scope="session")
def analysis(model: VideoModel, clip: Clip) -> Explanation:
    return analyze(model, clip)
