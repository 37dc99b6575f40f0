"""Holding still against blurring: what is compared is what the words say."""

import numpy as np
import pytest
import torch

from benchmarks.removal import blurred, losses
from sifa_core.data import Clip
from sifa_core.explain.analysis import Analysis
from tests.explain.white_box import WhiteBox, clip_that_moves, places


def test_the_place_that_decides_is_lost_in_both_ways_and_all_places_are_the_frozen_clip():
    rng = np.random.default_rng(0)
    here, there, *beside = places(rng, 9)
    model = WhiteBox(here, there).eval()
    analysis = Analysis.of(model, clip_that_moves(rng, here, *beside))
    found = losses(analysis, seed=0)
    frozen = dict(analysis.on(analysis.clip.frozen()).predictions)["moves here"]
    assert found.shape == (2, 4)
    assert found[0, 3] == pytest.approx(analysis.predictions[0][1] - frozen, abs=1e-6)
    assert (found[:, 0] > 0.8).all(), "noise that is blurred does not change any more"
    assert (found[:, 1] < 0.2).all()


def test_a_blurred_clip_keeps_its_mean_and_loses_its_detail():
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    frames = Clip.from_array(noise).frames.astype(np.float32)
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None]
    soft = blurred(video)
    assert soft.shape == video.shape
    assert soft.mean().item() == pytest.approx(video.mean().item(), rel=0.01)
    assert soft.std().item() < 0.1 * video.std().item()
