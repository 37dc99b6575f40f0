"""Offset statistics on traces whose answers are known."""

import json

import numpy as np
import pytest

from sifa_core.explain.geometry import FeatureGrid
from sifa_core.explain.statistics import attention_fractions, magnitude_histogram, offset_statistics
from sifa_core.explain.trace import LayerTrace

GRID = FeatureGrid(rows=5, columns=6, height=50, width=120)


def trace(offset=(0.0, 0.0), weights=None):
    offsets = np.zeros((2, 9, 2, 5, 6), np.float32)
    offsets[:, :, 0], offsets[:, :, 1] = offset
    weights = np.ones((2, 9, 5, 6), np.float32) if weights is None else weights
    return LayerTrace(3, offsets, weights, *4 * (weights[:, 0],))


def test_a_dead_layer():
    statistics = offset_statistics(trace(), GRID)
    assert not statistics.mean_magnitude.any()
    assert not statistics.direction.any()
    np.testing.assert_allclose(statistics.attention_entropy, 1)
    # Of 9 taps on 5 x 6 cells, (5*3 - 2) * (6*3 - 2) combinations of row and column stay inside.
    np.testing.assert_allclose(statistics.out_of_frame, 1 - 13 * 16 / (9 * 30))
    np.testing.assert_allclose(statistics.mean_displacement, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("offset", "sector"), [((3, 0), 0), ((2, 2), 1), ((0, 4), 2), ((-1, 0), 4), ((0, -2), 6), ((1, -1), 7)]
)
def test_magnitude_and_direction(offset, sector):
    statistics = offset_statistics(trace(offset), GRID)
    np.testing.assert_allclose(statistics.mean_magnitude, np.hypot(*offset))
    np.testing.assert_allclose(statistics.max_magnitude, np.hypot(*offset))
    np.testing.assert_allclose(statistics.mean_magnitude_pixels, np.hypot(offset[0] * 20, offset[1] * 10))
    np.testing.assert_array_equal(statistics.direction, np.eye(8)[[sector, sector]])
    np.testing.assert_allclose(statistics.mean_displacement, [offset, offset], atol=1e-6)


def test_everything_beyond_the_frame():
    np.testing.assert_allclose(offset_statistics(trace((99, 0)), GRID).out_of_frame, 1)


def test_attention_on_one_tap():
    weights = np.zeros((2, 9, 5, 6), np.float32)
    weights[:, 5] = 0.3  # the tap to the right
    statistics = offset_statistics(trace(weights=weights), GRID)
    np.testing.assert_allclose(statistics.attention_entropy, 0, atol=1e-12)
    np.testing.assert_allclose(statistics.mean_displacement, [[1, 0], [1, 0]])


def test_shares_take_negative_and_zero_weights():
    weights = np.array([1.0, -3.0, 0, 0]).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(attention_fractions(weights).ravel(), [0.25, 0.75, 0, 0])
    np.testing.assert_allclose(attention_fractions(weights * 0).ravel(), 0.25)


def test_figures_are_json(analysis):
    statistics = analysis.offset_statistics("res4.1").to_dict()
    assert json.loads(json.dumps(statistics)) == statistics
    assert len(statistics["mean_magnitude"]) == 4
    assert 0 < statistics["attention_entropy"][0] <= 1


def test_histogram_of_no_offsets_reaches_to_one_cell():
    fractions, edges = magnitude_histogram(trace(), 0, bins=4)
    assert fractions.tolist() == [1, 0, 0, 0]
    assert edges.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_histogram_of_lengths_over_the_same_bins_in_every_frame(analysis):
    lengths = np.linalg.norm(analysis.traces["res4.0"].offset, axis=2)
    for t in (0, 2):
        fractions, edges = analysis.offset_histogram("res4.0", t, bins=10)
        assert fractions.sum() == pytest.approx(1)
        assert (edges[0], edges[-1]) == (0, pytest.approx(lengths.max(), rel=1e-5))
        assert fractions[3] == pytest.approx(((lengths[t] >= edges[3]) & (lengths[t] < edges[4])).mean(), abs=1e-6)
