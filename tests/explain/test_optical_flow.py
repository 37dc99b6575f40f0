"""Agreement with the flow, on layers and motions whose answers are known by hand."""

import numpy as np
import pytest

from sifa_core.data import Clip
from sifa_core.errors import QueryError
from sifa_core.explain.explanation import Explanation
from sifa_core.explain.geometry import FeatureGrid
from sifa_core.explain.optical_flow import (
    LEAST_MOTION,
    agreement,
    contrast,
    displacements,
    estimated_flow,
    flow_displacement,
    frame_motion,
)
from sifa_core.explain.trace import LayerTrace

GRID = FeatureGrid(6, 8, 48, 64)


def layer(offset: tuple[float, float], frames: int = 2) -> LayerTrace:
    """Every tap is moved by `offset` cells and has the same weight, so the displacement is the offset itself."""
    offsets = np.broadcast_to(np.array(offset, np.float32)[None, None, :, None, None], (frames, 9, 2, 6, 8))
    return LayerTrace(3, offsets, np.ones((frames, 9, 6, 8), np.float32), *4 * (np.ones((frames, 6, 8), np.float32),))


def motion(velocity: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.broadcast_to(np.array(velocity), (6, 8, 2)), np.ones((6, 8), bool)


@pytest.mark.parametrize(
    ("offset", "velocity", "cosine", "error"),
    [((2, 0), (2, 0), 1, 0), ((2, 0), (-1, 0), -1, 3), ((0, 3), (4, 0), 0, 5), ((1, 1), (1, 0), 0.5**0.5, 1)],
)
def test_known_answers(offset, velocity, cosine, error):
    found = agreement(layer(offset), [motion(velocity)])
    assert found.cosine[0] == pytest.approx(cosine, abs=1e-6)
    assert found.error[0] == pytest.approx(error, abs=1e-6)
    assert found.regular_cosine[0] == pytest.approx(0, abs=1e-6)  # all taps alike: the regular grid points nowhere
    assert found.regular_error[0] == found.still_error[0] == pytest.approx(np.hypot(*velocity))
    assert found.moving_cells.tolist() == [48, 0]


def test_frames_in_which_nothing_moves_have_no_figures():
    still = np.zeros((6, 8, 2)), np.zeros((6, 8), bool)
    found = agreement(layer((1, 0), frames=3), [motion((1, 0)), still])
    assert np.isnan(found.cosine).tolist() == [False, True, True]
    assert found.to_dict()["error"] == [pytest.approx(0, abs=1e-6), None, None]
    assert found.mean("cosine") == pytest.approx(1)
    assert np.isnan(agreement(layer((1, 0)), [still]).mean("cosine"))


def test_the_mean_weighs_frames_by_their_moving_cells():
    displacement, some = motion((-1, 0))[0], np.zeros((6, 8), bool)
    some[0, :4] = True
    found = agreement(layer((1, 0)), [motion((1, 0)), (displacement, some)])
    assert found.mean("cosine") == pytest.approx((48 - 4) / 52)


def test_weights_decide_where_a_layer_looks():
    trace = layer((0.5, 0))
    weights = np.zeros((2, 9, 6, 8), np.float32)
    weights[:, 5] = -3.0  # the tap on the right; a negative weight counts by its size
    found, regular = displacements(LayerTrace(3, trace.offset, weights, *4 * (trace.saliency,)))
    np.testing.assert_allclose(found, np.broadcast_to(np.array([1.5, 0])[None, :, None, None], (2, 2, 6, 8)))
    np.testing.assert_allclose(regular[:, 0], 1.0)


def test_motion_is_followed_from_frame_to_frame_and_out_of_the_picture():
    flow = np.broadcast_to(np.array([4.0, 0.0]), (48, 64, 2))
    displacement, inside = flow_displacement([flow, flow, flow], GRID)
    np.testing.assert_allclose(displacement, np.broadcast_to([1.5, 0], (6, 8, 2)))
    assert inside[:, :6].all()
    assert not inside[:, 7].any()
    slow = np.broadcast_to(np.array([0.9 * LEAST_MOTION * 8, 0.0]), (48, 64, 2))
    [[(_, moving)]] = frame_motion(lambda number: slow, [0, 1], [GRID])
    assert not moving.any()


def test_dis_flow_finds_a_panning_ground():
    ground = np.random.default_rng(0).integers(0, 256, (30, 50), dtype=np.uint8)
    ground = np.kron(ground, np.ones((6, 6), np.uint8))  # blobs that an estimator can flow_displacement
    frames = np.stack([ground[6:126, 60 - 3 * n : 220 - 3 * n, None].repeat(3, 2) for n in range(3)])
    flow = estimated_flow(frames)(0)
    assert flow.shape == (120, 160, 2)
    assert np.median(flow[20:-20, 20:-20].reshape(-1, 2), axis=0) == pytest.approx([3, 0], abs=0.2)


def test_an_analysis_compares_itself_with_a_given_flow(analysis: Explanation, clip: Clip):
    steps, height, width = clip.num_frames - 1, clip.height, clip.width
    flow = np.broadcast_to(np.array([6.0, 0.0], np.float32), (steps, height, width, 2))
    for name in analysis.layers:
        found, cells = analysis.flow_agreement(name, flow), analysis.grid(name).stride[0]
        assert found.still_error[:-1] == pytest.approx(24 / cells)  # four frames of the clip are one feature frame
        assert found.moving_cells[-1] == 0  # the last frame has none after it
        assert (np.abs(found.cosine[:-1]) <= 1).all()
    with pytest.raises(QueryError, match="array of shape"):
        analysis.flow_agreement(flow=flow[:3])


def test_an_analysis_estimates_the_flow_itself_once(analysis: Explanation, monkeypatch: pytest.MonkeyPatch):
    first = analysis.flow_agreement("res3.0")
    assert first.moving_cells[:-1].min() > 0, "the square moves"
    assert first.moving_cells[0] < 0.7 * analysis.grid("res3.0").rows * analysis.grid("res3.0").columns
    monkeypatch.setattr("sifa_core.explain.analysis.estimated_flow", None)
    assert analysis.flow_agreement("res3.0") is first
    assert set(analysis.flow_agreement("res4.0").to_dict()) == set(first.to_dict())


def test_contrast_is_the_deviation_within_each_cell():
    picture = np.full((48, 64, 3), 90, np.uint8)
    picture[8:16:2, 16:24] = 50  # cell (column 2, row 1): half 50, half 90
    expected = np.zeros((6, 8))
    expected[1, 2] = 20
    np.testing.assert_allclose(contrast(picture, GRID), expected, atol=1e-6)
