"""Model input and crops: sizes, values, and the same treatment of every frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from sifa_core.data.transforms import (
    center_crop,
    model_input_size,
    normalize,
    random_flip,
    random_resize_crop,
    resize,
    three_crops,
    to_model_input,
)

MEAN, STD = (0.45, 0.4, 0.35), (0.2, 0.25, 0.3)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 300, 400, 3), np.uint8)


def coordinates(height: int, width: int, count: int = 2) -> np.ndarray:
    """Frames whose red is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([np.dstack([columns, rows, np.full_like(rows, t)]) for t in range(count)])


@pytest.mark.parametrize(
    ("height", "width", "short_side", "stride", "expected"),
    [
        (360, 640, 112, 16, (112, 192)),
        (360, 640, 256, 32, (256, 448)),
        (640, 360, 112, 16, (192, 112)),
        (100, 100, 10, 32, (32, 32)),
        (1, 1, 64, 16, (64, 64)),
        (33, 31, 31, 1, (33, 31)),
        (50, 400, 64, 32, (64, 512)),
    ],
)
def test_model_input_size(height, width, short_side, stride, expected):
    assert model_input_size(height, width, short_side=short_side, stride=stride) == expected
    frames = np.zeros((2, height, width, 3), np.uint8)
    tensor = to_model_input(frames, short_side=short_side, stride=stride, mean=MEAN, std=STD)
    assert tensor.shape == (1, 3, 2, *expected)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()


@pytest.mark.parametrize(("short_side", "stride"), [(0, 16), (64, 0)])
def test_senseless_sizes(short_side, stride):
    with pytest.raises(ValueError, match="at least 1"):
        model_input_size(10, 10, short_side=short_side, stride=stride)


def test_nothing_is_cropped_and_nothing_moves():
    """The corners stay the corners: a picture of coordinates keeps them, scaled, up to interpolation."""
    tensor = to_model_input(coordinates(128, 192), short_side=64, stride=16, mean=(0, 0, 0), std=(1 / 255,) * 3)[0]
    columns = (np.arange(96) + 0.5) * 2 - 0.5
    rows = (np.arange(64) + 0.5) * 2 - 0.5
    np.testing.assert_allclose(tensor[0, 0].numpy(), np.broadcast_to(columns, (64, 96)), atol=0.51)
    np.testing.assert_allclose(tensor[1, 1].numpy(), np.broadcast_to(rows[:, None], (64, 96)), atol=0.51)
    assert (tensor[2, 0] == 0).all()
    torch.testing.assert_close(tensor[2, 1], torch.ones(64, 96), atol=1e-6, rtol=0)


def test_normalize_is_the_formula(frames):
    expected = (frames.astype(np.float64) / 255 - np.array(MEAN)) / np.array(STD)
    found = normalize(torch.from_numpy(frames), MEAN, STD)
    assert found.shape == (3, 3, 300, 400)
    np.testing.assert_allclose(found.numpy(), expected.transpose(3, 0, 1, 2), atol=1e-5)
    clips = torch.from_numpy(np.stack([frames, frames[::-1]]))
    assert torch.equal(normalize(clips, MEAN, STD), torch.stack((found, found.flip(1))))


def test_read_only_frames_are_taken_as_they_are(frames, recwarn):
    frames.flags.writeable = False
    tensor = to_model_input(frames, short_side=300, stride=100, mean=MEAN, std=STD)
    assert tensor.shape == (1, 3, 3, 300, 400)
    assert len(recwarn) == 0


def test_methods_of_resizing(frames):
    down = resize(frames, (150, 200))
    np.testing.assert_array_equal(down[1], cv2.resize(frames[1], (200, 150), interpolation=cv2.INTER_AREA))
    up = resize(frames, (450, 600))
    np.testing.assert_array_equal(up[2], cv2.resize(frames[2], (600, 450), interpolation=cv2.INTER_LINEAR))
    assert resize(frames, (300, 400)) is frames


def test_random_crop_is_seeded_and_the_same_for_every_frame():
    still = np.repeat(coordinates(60, 80, 1), 4, axis=0)
    first = random_resize_crop(still, np.random.default_rng(7), crop=32, short_sides=(40, 60))
    again = random_resize_crop(still, np.random.default_rng(7), crop=32, short_sides=(40, 60))
    other = random_resize_crop(still, np.random.default_rng(8), crop=32, short_sides=(40, 60))
    assert first.shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    for frame in first[1:]:
        np.testing.assert_array_equal(frame, first[0])


def test_random_crop_reaches_all_scales_and_places():
    """From the picture of coordinates the scale and place of each crop can be read back."""
    still = coordinates(128, 160, 1)
    generator = np.random.default_rng(0)
    scales, lefts, tops = [], [], []
    for _ in range(150):
        crop = random_resize_crop(still, generator, crop=112, short_sides=(128, 170))[0].astype(float)
        scales.append(111 / max(1e-6, crop[50, 111, 0] - crop[50, 0, 0]))
        lefts.append(crop[50, 0, 0])
        tops.append(crop[0, 50, 1])
    assert min(scales) == pytest.approx(1.0, abs=0.03)
    assert max(scales) == pytest.approx(170 / 128, abs=0.03)
    assert min(lefts) <= 2
    assert max(lefts) >= 60
    assert min(tops) <= 2
    assert max(tops) >= 30


def test_paper_settings_are_the_defaults(frames):
    assert random_resize_crop(frames, np.random.default_rng(0)).shape == (3, 224, 224, 3)


@pytest.mark.parametrize("short_sides", [(200, 340), (300, 256)])
def test_crop_must_fit(frames, short_sides):
    with pytest.raises(ValueError, match="the crop must fit"):
        random_resize_crop(frames, np.random.default_rng(0), short_sides=short_sides)


def test_flip_can_be_switched_off_without_changing_the_run(frames):
    on, off = np.random.default_rng(5), np.random.default_rng(5)
    flipped = 0
    for _ in range(100):
        result = random_flip(frames, on)
        if not np.array_equal(result, frames):
            np.testing.assert_array_equal(result, frames[:, :, ::-1])
            flipped += 1
        assert random_flip(frames, off, enabled=False) is frames
    assert 30 < flipped < 70
    assert on.random() == off.random()


def test_center_crop():
    crop = center_crop(coordinates(100, 140), 60)
    assert crop.shape == (2, 60, 60, 3)
    assert crop[0, 0, 0].tolist() == [40, 20, 0]
    assert crop[1, 59, 59].tolist() == [99, 79, 1]
    assert center_crop(coordinates(30, 50), 60).shape == (2, 60, 60, 3)


@pytest.mark.parametrize("size", [(100, 140), (140, 100)])
def test_three_crops_lie_along_the_long_side(size):
    crops = three_crops(coordinates(*size), 100)
    assert [c.shape for c in crops] == [(2, 100, 100, 3)] * 3
    corners = [c[0, 0, 0, :2].tolist() for c in crops]
    expected = [[0, 0], [20, 0], [40, 0]]
    assert corners == (expected if size == (100, 140) else [corner[::-1] for corner in expected])
