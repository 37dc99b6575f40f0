"""Scores of maps against a plain count of pairs."""

import math

import numpy as np
import pytest

from sifa_core.explain.scores import area_under_curve, rank_correlation, ranks


def test_equal_values_share_the_mean_of_their_ranks():
    assert ranks(np.array([[3.0, 1.0], [3.0, 7.0]])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_area_under_the_curve_counts_pairs():
    rng = np.random.default_rng(0)
    values, mask = rng.integers(0, 6, (9, 7)).astype(np.float32), rng.random((9, 7)) < 0.3
    inside, outside = values[mask][:, None], values[~mask][None]
    expected = ((inside > outside) + 0.5 * (inside == outside)).mean()
    assert area_under_curve(values, mask) == pytest.approx(expected)
    assert area_under_curve(np.zeros((9, 7)), mask) == 0.5
    assert math.isnan(area_under_curve(values, np.ones((9, 7), bool)))


def test_rank_correlation():
    rng = np.random.default_rng(0)
    values = rng.random((5, 6))
    assert rank_correlation(values, np.exp(3 * values)) == pytest.approx(1)
    assert rank_correlation(values, -values) == pytest.approx(-1)
    assert rank_correlation(values, np.zeros((5, 6))) == 0
    first, second = rng.permutation(30.0 + np.arange(30)), rng.permutation(np.arange(30.0))
    assert rank_correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
