"""The measure of movement tells pixels of displacement, and tells cuts from motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sifa_core.data.motion_energy import motion_between, thumbnail_size


def texture(seed: int, height: int = 64, width: int = 400) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


@pytest.mark.parametrize("step", [1, 2, 4])
def test_movement_is_a_share_of_the_short_side(step):
    background = texture(0)
    shown = [background[:, step * i : step * i + 114] for i in range(8)]
    motion = motion_between([np.ascontiguousarray(p) for p in shown])
    assert motion[0] == 0
    np.testing.assert_allclose(motion[1:], step / 64, rtol=0.3)


def test_a_small_object_counts():
    background, patch = texture(1, width=114), texture(2, 20, 24)
    shown = []
    for i in range(8):
        picture = background.copy()
        picture[20:40, 10 + 3 * i : 34 + 3 * i] = patch
        shown.append(picture)
    assert np.median(motion_between(shown)[1:]) > 0.02


def test_still_pictures_do_not_move():
    background = texture(3, width=114)
    generator = np.random.default_rng(0)
    noisy = [np.clip(background + generator.normal(0, 2, background.shape), 0, 255).astype(np.uint8) for _ in range(6)]
    assert motion_between([background] * 4).tolist() == [0, 0, 0, 0]
    assert motion_between(noisy).max() < 0.008


def test_cuts_are_not_movement():
    one, other = texture(4, width=114), 255 - texture(9, width=114) // 2
    motion = motion_between([one, one, other, other])
    assert np.isnan(motion[2])
    assert motion[[0, 1, 3]].tolist() == [0, 0, 0]


def test_a_large_fast_movement_is_not_a_cut():
    background = texture(5)
    motion = motion_between([np.ascontiguousarray(background[:, 6 * i : 6 * i + 114]) for i in range(6)])
    assert np.isfinite(motion).all()
    assert motion.max() <= 0.25


def test_tiny_pictures():
    dark, bright = np.full((3, 5), 10, np.uint8), np.full((3, 5), 61, np.uint8)
    np.testing.assert_allclose(motion_between([dark, bright, bright]), [0, 0.2, 0])
    assert motion_between([]).tolist() == []


def test_thumbnail_sizes():
    assert thumbnail_size(1920, 1080) == (114, 64)
    assert thumbnail_size(1080, 1920) == (64, 114)
    assert thumbnail_size(30, 20) == (30, 20)
