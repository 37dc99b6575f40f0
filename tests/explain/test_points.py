"""Sampling points against independent arithmetic: the pixel convention, bilinear reading, two levels."""

import numpy as np
import pytest

from sifa_core.errors import QueryError
from sifa_core.explain.geometry import FeatureGrid, read_bilinear, regular_taps
from sifa_core.explain.points import compose_points
from sifa_core.explain.trace import LayerTrace


def trace(offset: float | np.ndarray = 0.0, kernel_size: int = 3, rows: int = 6, columns: int = 8) -> LayerTrace:
    taps = kernel_size**2
    weights = np.random.default_rng(1).random((2, taps, rows, columns)).astype(np.float32)
    offsets = np.broadcast_to(np.float32(offset), (2, taps, 2, rows, columns))
    return LayerTrace(kernel_size, offsets, weights, *4 * (weights[:, 0],))


def bilinear(image: np.ndarray, x: float, y: float) -> float:
    """One value of [rows, columns] at a place, written out; beyond the edge, the edge's."""
    rows, columns = image.shape
    x, y = min(max(x, 0), columns - 1), min(max(y, 0), rows - 1)
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            total += max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row)) * image[row, column]
    return total


def test_cell_centres_follow_the_convention():
    grid = FeatureGrid(rows=6, columns=8, height=96, width=128)  # stride 16
    centres = grid.to_pixels(np.array([[0.0, 0.0], [3.0, 2.0]]))
    np.testing.assert_array_equal(centres, [[7.5, 7.5], [55.5, 39.5]])
    np.testing.assert_allclose(grid.to_cells(centres), [[0, 0], [3, 2]])


def test_strides_need_not_be_whole_or_equal():
    grid = FeatureGrid(rows=4, columns=6, height=90, width=130)
    points = np.random.default_rng(0).random((20, 2)) * 80
    np.testing.assert_allclose(grid.to_pixels(grid.to_cells(points)), points)
    np.testing.assert_allclose(grid.stride, [130 / 6, 22.5])


def test_picture_edges():
    grid = FeatureGrid(2, 2, height=10, width=20)
    points = np.array([[-0.5, -0.5], [19.5, 9.5], [-0.6, 0], [0, 9.6]])
    np.testing.assert_array_equal(grid.contains(points), [True, True, False, False])


def test_reading_between_cells():
    image = np.random.default_rng(0).random((5, 7))
    places = np.random.default_rng(1).uniform(-2, 8, (40, 2))
    expected = [bilinear(image, x, y) for x, y in places]
    np.testing.assert_allclose(read_bilinear(image, places), expected)


def test_taps_run_row_by_row():
    np.testing.assert_array_equal(regular_taps(3)[:4], [[-1, -1], [0, -1], [1, -1], [-1, 0]])


def test_zero_offsets_give_exactly_the_grid_in_pixels():
    grid = FeatureGrid(rows=6, columns=8, height=96, width=128)
    x, y = 3 * 16 + 7.5, 2 * 16 + 7.5  # the centre of cell (2, 3)
    points = compose_points(trace(), None, grid, (0, x, y), 1)
    expected = [[x + 16 * column, y + 16 * row] for row in (-1, 0, 1) for column in (-1, 0, 1)]
    np.testing.assert_array_equal(points.points, expected)
    np.testing.assert_array_equal(points.base, expected)
    assert points.in_frame.all()
    assert (points.frame, points.query) == (1, (0, x, y))


def test_weights_on_a_cell_centre_are_that_cells():
    grid = FeatureGrid(rows=6, columns=8, height=96, width=128)
    layer = trace()
    points = compose_points(layer, None, grid, (1, 55.5, 39.5), 1)
    np.testing.assert_array_equal(points.weights, layer.weights[1, :, 2, 3])
    assert list(points.strongest(3)) == sorted(range(9), key=lambda i: -points.weights[i])[:3]


def test_two_levels_at_zero_offsets_are_two_grids_added():
    grid = FeatureGrid(rows=6, columns=8, height=96, width=128)
    points = compose_points(trace(), trace(), grid, (0, 55.5, 39.5), 1)
    steps = [(16 * column, 16 * row) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    expected = [[55.5 + a + c, 39.5 + b + d] for a, b in steps for c, d in steps]
    assert points.points.shape == (81, 2)
    np.testing.assert_allclose(points.points, expected)


def test_two_levels_with_offsets_against_loops(analysis):
    """Every number of 81 points recomputed from the raw trace by the slow bilinear sum."""
    outer, inner = analysis.traces["res4.1"], analysis.traces["res4.0"]
    grid = analysis.grid("res4.1")
    t, x, y = 1, 71.3, 40.8
    points = analysis.sampling_points((t, x, y), "res4.1", levels=2)
    origin = grid.to_cells(np.array([x, y]))
    number = 0
    for i in range(9):
        step = np.array([i % 3 - 1, i // 3 - 1])
        first = origin + step + [bilinear(outer.offset[t, i, axis], *origin) for axis in (0, 1)]
        for j in range(9):
            other = np.array([j % 3 - 1, j // 3 - 1])
            second = first + other + [bilinear(inner.offset[t, j, axis], *first) for axis in (0, 1)]
            weight = bilinear(outer.weights[t, i], *origin) * bilinear(inner.weights[t, j], *first)
            np.testing.assert_allclose(points.points[number], grid.to_pixels(second), rtol=1e-5)
            np.testing.assert_allclose(points.base[number], grid.to_pixels(origin + step + other), rtol=1e-9)
            np.testing.assert_allclose(points.weights[number], weight, rtol=1e-5)
            number += 1
    assert number == len(points.points) == 81


def test_offsets_move_points_in_pixels_of_the_clip(analysis):
    query = (2, 60.0, 50.0)
    points = analysis.sampling_points(query, "res5.1")
    grid = analysis.grid("res5.1")
    origin = grid.to_cells(np.array(query[1:]))
    moved = [[bilinear(analysis.traces["res5.1"].offset[2, i, axis], *origin) for axis in (0, 1)] for i in range(9)]
    np.testing.assert_allclose(points.points - points.base, np.array(moved) * grid.stride, rtol=1e-4, atol=1e-4)
    assert np.abs(points.points - points.base).max() > 1


def test_points_beyond_the_picture_are_marked():
    grid = FeatureGrid(rows=6, columns=8, height=96, width=128)
    points = compose_points(trace(), None, grid, (0, 0.0, 0.0), 1)
    np.testing.assert_array_equal(points.in_frame, [False] * 4 + [True] * 2 + [False] + [True] * 2)


def test_the_last_frame_looks_at_itself(analysis):
    assert analysis.sampling_points((2, 9, 9)).frame == 3
    assert analysis.sampling_points((3, 9, 9)).frame == 3


def test_the_first_layer_of_a_stage_has_one_level(analysis):
    assert [analysis.max_levels(name) for name in analysis.layers] == [1, 1, 2, 1, 2]
    with pytest.raises(QueryError, match=r"res4.0 is the first SIFA layer of its stage"):
        analysis.sampling_points((0, 9, 9), "res4.0", levels=2)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ((4, 9, 9), "no feature frame 4; they run from 0 to 3"),
        ((-1, 9, 9), "no feature frame -1"),
        ((1.5, 9, 9), "no feature frame 1.5"),
        ((True, 9, 9), "no feature frame True"),
        ((0, 129.6, 9), r"outside the clip, which has 130 x 90"),
        ((0, 9, -0.6), "outside the clip"),
        ((0, float("nan"), 9), "outside the clip"),
        ((0, float("inf"), 9), "outside the clip"),
        ((float("nan"), 9, 9), "three numbers"),
        ((0, 9), "three numbers"),
        ("0,9,9", "three numbers"),
        (None, "three numbers"),
        ((0, "a", 9), "three numbers"),
    ],
)
def test_bad_queries_are_said(analysis, query, message):
    with pytest.raises(QueryError, match=message):
        analysis.sampling_points(query)


def test_bad_layers_and_levels_are_said(analysis):
    with pytest.raises(QueryError, match=r"no SIFA layer 'res9'; choose one of res3.0"):
        analysis.sampling_points((0, 9, 9), "res9")
    with pytest.raises(QueryError, match="levels=3"):
        analysis.sampling_points((0, 9, 9), levels=3)
