"""Augmentation: the same for every frame, of the strength that it says, repeatable, and true to directions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sifa_core.data.augmentation import Augmentation, augment, jitter, turn_hue
from sifa_core.data.datasets import View
from sifa_core.data.datasets.formats import Entry, Listing
from sifa_core.data.datasets.video import VideoDataset
from sifa_core.data.rand_augment import OPERATIONS, rand_augment
from sifa_core.data.transforms import random_resized_crop
from sifa_core.errors import ConfigError


@pytest.fixture
def picture() -> np.ndarray:
    """One smooth coloured picture, 40 x 60."""
    noise = np.random.default_rng(0).integers(30, 220, (5, 7, 3)).astype(np.uint8)
    return cv2.resize(noise, (60, 40), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def still(picture) -> np.ndarray:
    return np.repeat(picture[None], 3, axis=0)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_does_the_same_to_every_frame(name, still):
    operation = OPERATIONS[name]
    changed = operation.apply(still, operation.largest * 0.9, np.random.default_rng(3))
    assert (changed.shape, changed.dtype) == (still.shape, np.uint8)
    assert (changed == changed[0]).all()
    assert (changed != still).any()


@pytest.mark.parametrize("name", ["auto_contrast", "equalize", "contrast"])
def test_what_depends_on_the_picture_depends_on_the_whole_clip(name, picture):
    """A pixel that is the same in two frames stays the same although one frame is darker than the other."""
    frames = np.stack([picture // 2, picture])
    frames[:, 0, 0] = 77
    changed = OPERATIONS[name].apply(frames, 0.5, np.random.default_rng(0))
    assert (changed[0, 0, 0] == changed[1, 0, 0]).all()


def _dot(x: int, y: int, size: int = 81) -> np.ndarray:
    frame = np.zeros((size, size, 3), np.uint8)
    cv2.circle(frame, (x, y), 4, (255, 255, 255), -1)
    return frame


def _middle(frame: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(frame[..., 0] > 128)
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize(
    ("name", "strength", "moved"),
    [
        ("rotate", 30, (40 + 20 * np.cos(np.pi / 6), 40 - 20 * np.sin(np.pi / 6))),  # against the clock
        ("rotate", -30, (40 + 20 * np.cos(np.pi / 6), 40 + 20 * np.sin(np.pi / 6))),
        ("shear_x", 0.3, (60 - 0.3 * 40, 40)),
        ("shear_y", 0.3, (60, 40 - 0.3 * 60)),
        ("translate_x", 0.1, (60 - 8.1, 40)),
        ("translate_y", -0.1, (60, 40 + 8.1)),
    ],
)
def test_geometry_by_hand(name, strength, moved):
    frames = np.stack([_dot(60, 40)] * 2)
    changed = OPERATIONS[name].apply(frames, strength, np.random.default_rng(0))
    np.testing.assert_allclose(_middle(changed[1]), moved, atol=0.6)


def test_pillows_operations_by_hand():
    grey = np.arange(0, 256, 5, dtype=np.uint8)[None, None, :, None].repeat(3, axis=3)
    generator = np.random.default_rng(0)
    assert (OPERATIONS["invert"].apply(grey, 0, generator) == 255 - grey).all()
    assert (OPERATIONS["posterize"].apply(grey, 2.0, generator) == grey // 64 * 64).all()
    assert (OPERATIONS["posterize"].apply(grey, 4.0, generator) == grey // 128 * 128).all(), "never all black"
    assert (OPERATIONS["solarize"].apply(grey, 128, generator) == np.where(grey < 128, grey, 255 - grey)).all()
    assert (OPERATIONS["solarize_add"].apply(grey, 50, generator) == np.where(grey < 128, grey + 50, grey)).all()
    assert np.abs(OPERATIONS["brightness"].apply(grey, 0.5, generator).astype(int) - grey // 2).max() <= 1


def test_directions_survive_where_labels_name_them():
    """A dot that moves left by 20 pixels; at the largest strength, "left" stays the nearest of four."""
    frames = np.stack([_dot(52, 41), _dot(32, 41)])
    turned = {True: 0.0, False: 0.0}
    for keep in turned:
        for seed in range(150):
            generator = np.random.default_rng(seed)
            changed = rand_augment(frames, generator, count=3, magnitude=30, keep_directions=keep)
            seen = [frame for frame in changed if 5 < (frame[..., 0] > 128).sum() < 200]
            if len(seen) == 2:
                dx, dy = _middle(changed[1]) - _middle(changed[0])
                turned[keep] = max(turned[keep], np.degrees(abs(np.arctan2(dy, -dx))))
    assert 25 < turned[True] < 45
    assert turned[False] > 45, "which is why it is needed"


def test_nothing_mirrors():
    """Marks left and right of the middle keep their order, whatever is drawn."""
    frame = np.zeros((81, 81, 3), np.uint8)
    frame[36:45, 30:36, 0], frame[36:45, 45:51, 1] = 255, 255
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):
        for sign in (1, -1):
            changed = OPERATIONS[name].apply(
                frame[None], sign * min(OPERATIONS[name].largest, 30), np.random.default_rng(0)
            )
            red, green = (np.nonzero(changed[0, ..., channel] > 128)[1] for channel in (0, 1))
            assert not len(red) or not len(green) or red.mean() < green.mean()


def test_jitter_changes_what_it_says(still):
    plain = still.astype(int)
    for part, (lower, upper) in enumerate([(0.5, 1.5)] * 3):
        strengths = [0.0] * 4
        strengths[part] = 0.5
        found = [jitter(still, np.random.default_rng(seed), tuple(strengths)).astype(int) for seed in range(12)]
        assert all((each == each[0]).all() for each in found)
        if part == 0:
            ratios = [each.mean() / plain.mean() for each in found]
            assert lower < min(ratios) < 0.9 < 1.05 < max(ratios) < upper
        if part == 2:
            spread = [np.ptp(each[0], axis=-1).mean() / np.ptp(plain[0], axis=-1).mean() for each in found]
            assert min(spread) < 0.9
            assert max(spread) > 1.05
    assert (jitter(still, np.random.default_rng(0), (0.0,) * 4) == still).all()


def test_hue_by_hand():
    red = np.zeros((2, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    for turn, colour in ((1 / 3, (0, 255, 0)), (-1 / 3, (0, 0, 255)), (0.0, (255, 0, 0))):
        np.testing.assert_allclose(turn_hue(red, turn)[0, 0, 0], colour, atol=6)


def test_grey_and_blur(still):
    grey = augment(still, np.random.default_rng(0), Augmentation(grey=1.0), keep_directions=False)
    assert np.ptp(grey, axis=-1).max() == 0
    sharp = np.zeros((2, 21, 21, 3), np.uint8)
    sharp[:, 10, 10] = 255
    blurred = augment(sharp, np.random.default_rng(0), Augmentation(blur=1.0), keep_directions=False)
    assert 0 < blurred[0, 10, 10, 0] < 255
    assert (blurred[0] == blurred[1]).all()
    assert augment(sharp, np.random.default_rng(0), Augmentation(), keep_directions=False) is sharp


def test_resized_crops_keep_area_and_aspect():
    """Of a picture whose pixels tell their place: the window's corners follow from its values."""
    y, x = np.mgrid[0:200, 0:240]
    frames = np.stack([x, y, x * 0], axis=-1).astype(np.uint8)[None].repeat(2, axis=0)
    areas, ratios = [], []
    for seed in range(200):
        crop = random_resized_crop(frames, np.random.default_rng(seed), crop=32, area=(0.2, 1.0), aspect=(0.75, 4 / 3))
        assert crop.shape == (2, 32, 32, 3)
        assert (crop[0] == crop[1]).all()
        width, height = (np.ptp(crop[0, ..., channel].astype(float)) * 32 / 31 for channel in (0, 1))
        areas.append(width * height / (200 * 240))
        ratios.append(width / height)
    assert 0.18 < min(areas) < 0.25
    assert 0.85 < max(areas) < 1.03
    assert 0.7 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.4
    long = np.zeros((1, 20, 400, 3), np.uint8)
    whole = random_resized_crop(long, np.random.default_rng(0), crop=16, area=(0.9, 1.0), aspect=(0.75, 4 / 3))
    assert whole.shape == (1, 16, 16, 3)


def test_a_training_sample_is_augmented_and_repeatable(tmp_path, monkeypatch, picture):
    listing = Listing([Entry(tmp_path / "a.mp4", 0)], ("a",))
    frames = np.repeat(picture[None], 4, axis=0)
    settings = Augmentation(crop="resized", jitter=(0.4, 0.4, 0.4, 0.1), grey=0.2, blur=0.5, rand_augment=2)
    monkeypatch.setattr(VideoDataset, "_frames", lambda self, path, rng: frames)
    data, plain = (
        VideoDataset(listing, View(4, 1, 24, (24, 30), augmentation=chosen), segments=False)
        for chosen in (settings, Augmentation())
    )
    first, again, other = (data[0, position].clips for position in (5, 5, 6))
    assert first.shape == (1, 4, 24, 24, 3)
    assert (first == again).all()
    assert (first != other).any()
    assert (first != plain[0, 5].clips).any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"area": (0.5, 0.2)}, r"augment.area=\(0.5, 0.2\)"),
        ({"area": (0.5, 1.2)}, "up to 1"),
        ({"aspect": (0.0, 1.0)}, "augment.aspect"),
        ({"jitter": (0.4,)}, "four numbers"),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, "hue, is at most 0.5"),
        ({"magnitude": 31}, "from 0 to 30"),
        ({"rand_augment": -1}, "from 0 to 16"),
        ({"grey": 1.5}, "from 0 to 1"),
        ({"cutmix": -1.0}, "from 0 to 100"),
    ],
)
def test_impossible_settings_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation(**fields)
