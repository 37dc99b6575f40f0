"""Scores of places, held against masks and displacements whose answer is known."""

import math

import numpy as np
import pytest

from sifa_core.data import Clip
from sifa_core.data.motion15 import MotionConfig, render
from sifa_core.explain.analysis import Analysis
from sifa_core.explain.explanation import Explanation
from sifa_core.explain.optical_flow import agreement
from sifa_core.explain.scores import area_under_curve
from sifa_core.explain.studies.localisation import (
    BASELINES,
    Truth,
    default_evidence,
    evidence_maps,
    place_scores,
    score_displacements,
    score_maps,
    score_points,
    spans,
)
from sifa_core.training.offset_accuracy import true_displacement

HEIGHT, WIDTH = 90, 130


@pytest.fixture(scope="module")
def moving():
    """[16, H, W]: where the square of the shared clip is."""
    mask = np.zeros((16, HEIGHT, WIDTH), bool)
    for t in range(16):
        mask[t, 30:55, 5 + 6 * t : 30 + 6 * t] = True
    return mask


def test_a_map_of_the_mover_is_perfect_and_its_opposite_is_not():
    merged = np.zeros((2, 64, 64), bool)
    merged[:, 8:24, 16:40] = True
    shown = np.zeros((2, 64, 64), bool)
    shown[:, 8:24, 16:24] = True
    found = place_scores(merged.astype(np.float32), merged, shown)
    assert (found.auc, found.peak) == (1, 1)
    assert found.auc_shown == pytest.approx(area_under_curve(merged[0].astype(float), shown[0]))
    assert found.peak_shown == 1, "the first of equal maxima is in both"
    opposite = place_scores(1 - merged.astype(np.float32), merged, shown)
    assert (opposite.auc, opposite.peak) == (0, 0)


def test_frames_without_anything_that_moves_or_rests_do_not_count():
    merged = np.zeros((3, 64, 64), bool)
    merged[0, :8, :8] = True
    merged[1] = True
    shown = np.zeros((3, 64, 64), bool)
    found = place_scores(merged.astype(np.float32), merged, shown)
    assert (found.auc, found.peak) == (1, 1)
    assert math.isnan(found.auc_shown)
    assert math.isnan(place_scores(np.zeros((3, 8, 8), np.float32), shown, shown).auc)


def test_maps_are_about_the_frames_that_they_merge(analysis: Explanation):
    assert spans(analysis, 1) == [range(0, 4), range(4, 8), range(8, 12), range(12, 16)]
    assert spans(analysis, 2) == [range(0, 8), range(4, 12), range(8, 16)]


def test_the_frame_difference_finds_the_square_and_chance_does_not(analysis: Explanation, moving):
    motion, evidence = score_maps(analysis, moving)
    for found in (motion, evidence):
        assert list(found)[-4:] == list(BASELINES)
        assert found["frame_difference"].auc > 0.95
        assert found["frame_difference"].peak == 1
        assert found["optical_flow"].peak == 1
        assert found["random"].auc == pytest.approx(0.5, abs=0.05)
    assert {f"Eq. 5 {layer}" for layer in analysis.layers} <= motion.keys()
    assert default_evidence(analysis) in evidence
    assert all(0 <= scores.auc <= 1 for found in (motion, evidence) for scores in found.values())


def test_maps_of_evidence_are_those_of_the_analysis(analysis: Explanation):
    found = evidence_maps(analysis)
    np.testing.assert_array_equal(found["layer_cam res4"], analysis.evidence_cells("res4", method="layer_cam"))
    np.testing.assert_array_equal(found[default_evidence(analysis)], analysis.evidence_cells())


def test_points_are_counted_on_the_mover_of_the_next_frame(analysis: Explanation, moving):
    found = score_points(analysis, moving)
    assert list(found) == [
        "res3.0 x 1",
        "res4.0 x 1",
        "res4.1 x 1",
        "res4.1 x 2",
        "res5.0 x 1",
        "res5.1 x 1",
        "res5.1 x 2",
    ]
    rows = []
    for t in range(3):
        left = 5 + 6 * (4 * t + 2)
        query = t, left + 12.0, 42.0
        points = analysis.sampling_points(query, "res3.0")
        after = left + 24
        x, y = np.rint(points.points).T
        on = (x >= after) & (x < after + 25) & (y >= 30) & (y < 55)
        weights = np.abs(points.weights)
        rows.append((on[points.strongest(3)].mean(), (weights * on).sum() / weights.sum()))
    strongest, attention = np.mean(rows, axis=0)
    assert found["res3.0 x 1"]["strongest"] == pytest.approx(strongest)
    assert found["res3.0 x 1"]["attention"] == pytest.approx(attention)
    assert found["res3.0 x 1"]["area"] == pytest.approx(25 * 25 / HEIGHT / WIDTH)
    nowhere = score_points(analysis, np.zeros_like(moving))
    assert math.isnan(nowhere["res3.0 x 1"]["strongest"])


def test_displacements_agree_with_those_that_training_measures(model):
    sample = render(0, "test", 3002, MotionConfig(16, 64, 64), truth=True)
    analysis = Analysis.of(model, Clip.from_array(sample.frames))
    found = score_displacements(analysis, Truth(sample.moving, sample.flow))
    for layer in analysis.layers:
        pairs = [true_displacement(sample, analysis.grid(layer), t, 4) for t in analysis.frame_index[:-1]]
        expected = agreement(analysis.traces[layer], pairs)
        assert found[layer]["cells"] == expected.moving_cells.sum()
        for name in ("cosine", "error", "regular_error", "still_error"):
            assert found[layer][name] == pytest.approx(expected.mean(name), nan_ok=True)
    assert found["res3.0"]["cells"] > 0
