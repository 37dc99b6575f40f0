"""What stands in for the truth on real clips."""

import numpy as np

from benchmarks.real_clips import main, moving_mask
from sifa_core.data import Clip


def ground(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return np.kron(noise, np.ones((4, 4, 1), np.uint8))


def test_a_square_before_still_ground_is_what_moves():
    frames = np.repeat(ground(96, 128)[None], 8, axis=0)
    for t in range(8):
        frames[t, 32:64, 20 + 4 * t : 52 + 4 * t] = ground(32, 32)
    mask = moving_mask(Clip.from_array(frames))
    assert mask.shape == (8, 96, 128)
    inside = np.zeros_like(mask)
    for t in range(8):
        inside[t, 36:60, 24 + 4 * t : 48 + 4 * t] = True
    assert mask[inside].mean() > 0.9
    assert mask[:, :16].mean() < 0.02


def test_a_panning_camera_has_no_mask():
    wide = ground(96, 200)
    frames = np.stack([wide[:, 4 * t : 4 * t + 128] for t in range(8)])
    assert moving_mask(Clip.from_array(frames)) is None


def test_nothing_is_claimed_where_no_camera_stands_still(capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.real_clips.moving_mask", lambda clip: None)
    main(["assets/clips/earth_rotates.mp4", "--windows", "1"])
    assert capsys.readouterr().out == (
        "earth_rotates.mp4: 0 of 1 windows\n\n0 windows whose camera stands still, against optical flow.\n"
    )
