"""What moves and what speaks for a class, on a clip whose truth is known: a bright square that moves right."""

import cv2
import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam

from sifa_core.data import Clip
from sifa_core.errors import QueryError
from sifa_core.explain.class_evidence import METHODS, motion_path, stage_gradients
from sifa_core.explain.explanation import analyze
from sifa_core.explain.motion import FLOOR, NEIGHBOURS, blur, combine_motion
from sifa_core.models import load_model


@pytest.fixture(scope="module")
def demo():
    return load_model("sifa_net_tiny").eval()


@pytest.fixture(scope="module")
def moving(demo):
    ground = np.random.default_rng(0).integers(60, 120, (128, 128, 3), dtype=np.uint8)
    frames = np.repeat(ground[None], 16, axis=0)
    for t in range(16):
        frames[t, 40:70, 10 + 4 * t : 40 + 4 * t] = (250, 240, 90)
    return analyze(demo, Clip.from_array(frames, fps=25, name="square.mp4"))


def mover(t):
    mask = np.zeros((128, 128), bool)
    mask[36:74, 6 + 16 * t : 56 + 16 * t] = True
    return mask


def test_motion_lies_on_what_moves_and_nowhere_else(moving):
    for t in range(3):
        found = moving.motion(t=t)
        assert found.shape == (128, 128)
        assert found.min() >= 0
        assert found.max() == pytest.approx(1, abs=0.1)
        on = mover(t) | mover(t + 1)
        assert on.flat[found.argmax()]
        assert found[on].mean() > 4 * found[~on].mean()


def test_motion_of_a_layer_is_equation_5_without_its_half(moving):
    caught = {}
    layer = moving.model.sifa_layers()["res4.1"]
    handle = layer.attention.register_forward_hook(lambda _, inputs, __: caught.update(pair=inputs[:2]))
    with torch.no_grad():
        moving.model(moving.video)
    handle.remove()
    now, after = caught["pair"]
    expected = ((torch.sigmoid(after - now) - 0.5) * after).abs().mean(1).numpy()
    np.testing.assert_allclose(moving.motion_cells("res4.1"), expected, rtol=1e-4, atol=1e-6)


def test_nothing_moves_in_a_frozen_clip(demo, moving):
    still = analyze(demo, moving.clip.frozen())
    assert np.ptp(still.motion_cells()) < 1e-6
    assert still.motion().max() < 1e-3
    assert still.class_evidence().max() == 0


def test_the_path_runs_from_one_picture_to_the_clip(moving):
    frozen, held, halfway, clip = motion_path(moving.video, moving.frame_index)
    assert torch.equal(clip, moving.video[0])
    assert all(torch.equal(frozen[:, t], clip[:, 8]) for t in range(16))
    assert all(torch.equal(held[:, t], clip[:, t // 4 * 4 + 2]) for t in range(16))
    torch.testing.assert_close(halfway, (held + clip) / 2)


def test_class_evidence_lies_on_what_moves(moving):
    found = moving.class_evidence()
    assert found.shape == (4, 128, 128)
    assert found.max() <= 1
    assert np.mean([mover(t).flat[found[t].argmax()] for t in range(4)]) >= 0.75


@pytest.mark.parametrize("stage", ["res3", "res5"])
def test_grad_cam_is_captums(moving, stage):
    target = moving.target_index(None)
    module = moving.model.stage_outputs()[stage]
    theirs = LayerGradCam(moving.model, module).attribute(moving.video, target=target, relu_attributions=True)
    theirs = theirs[:, 0].detach().numpy()
    ours = moving.evidence_cells(stage, method="grad_cam")
    np.testing.assert_allclose(ours, theirs / theirs.max(), rtol=1e-3, atol=1e-5)


def test_another_class_gives_another_picture_and_a_difference_is_of_both(moving):
    first, second = (moving.evidence_cells(target=label) for label in (1, 2))
    assert np.abs(first - second).max() > 0.1
    alone = stage_gradients(moving.model, moving.video, 1)["res3"].gradients
    other = stage_gradients(moving.model, moving.video, 2)["res3"].gradients
    both = stage_gradients(moving.model, moving.video, 1, 2)["res3"].gradients
    np.testing.assert_allclose(both, alone - other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_of_each_frame(moving, method):
    found = moving.evidence_cells("res5.1", method=method)
    assert found.shape == (4, 4, 4)
    assert found.min() >= 0
    assert np.isfinite(found).all()


def test_wrong_choices_are_said(moving):
    with pytest.raises(QueryError, match="method 'magic'"):
        moving.class_evidence(method="magic")
    with pytest.raises(QueryError, match="two different classes"):
        moving.class_evidence(target=1, against=1)
    with pytest.raises(QueryError, match="no SIFA layer 'res9'"):
        moving.class_evidence("res9")


def test_maps_without_anything_in_them_have_no_say():
    full = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    alone, beside = combine_motion([full], 8, 8), combine_motion([full, torch.zeros(3, 4, 4)], 8, 8)
    assert torch.equal(alone[0].ravel().argsort()[-5:], beside[0].ravel().argsort()[-5:])


@pytest.mark.parametrize("shape", [(28, 50), (3, 9), (1, 8), (1, 1)])
def test_the_blur_is_opencvs_on_maps_of_any_size(shape):
    images = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    for deviation in (0.3, 0.7, 1.5):
        expected = np.stack([cv2.GaussianBlur(image, (0, 0), deviation) for image in images])
        np.testing.assert_allclose(blur(torch.from_numpy(images), deviation), expected, atol=1e-6)


def test_pairs_beside_a_pair_count_half():
    """One bright place of the middle pair, alone in its map: the outer pairs get their share of its logarithm."""
    maps = torch.zeros(3, 41, 41)
    maps[1, 20, 20] = 1.0
    found = combine_motion([maps], 41, 41).log() - np.log(FLOOR)
    middle, outer = found[1, 20, 20].item(), found[0, 20, 20].item()
    assert outer / middle == pytest.approx((NEIGHBOURS / (1 + NEIGHBOURS)) / (1 / (1 + 2 * NEIGHBOURS)), rel=1e-4)
