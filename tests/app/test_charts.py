"""Charts: they draw the numbers of the API, and text in them is text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from app import charts
from sifa_core import Analysis, paper

NASTY = "${7*7} <b>bold</b> <img src=x onerror=alert(1)> & שלום"


@pytest.fixture(scope="module")
def figures(analysis: Analysis) -> dict[str, go.Figure]:
    return charts.query_charts(analysis, analysis.select((1, 20, 30), "res4.1", 2))


def test_weights_are_those_of_the_points(analysis: Analysis, figures: dict[str, go.Figure]) -> None:
    one = analysis.sampling_points((1, 20, 30), "res4.1")
    two = analysis.sampling_points((1, 20, 30), "res4.1", 2)
    np.testing.assert_allclose(figures["matrix"].data[0].z, one.weights.reshape(3, 3))
    assert figures["matrix"].layout.yaxis.autorange == "reversed", "the first row of taps lies on top"
    bars = figures["ranking"].data[0]
    np.testing.assert_allclose(bars.y, np.sort(two.weights)[::-1])
    first = two.points[two.weights.argmax()]
    assert bars.customdata[0][0] == f"({first[0]:.0f}, {first[1]:.0f})"
    assert bars.marker.opacity[:4] == (1, 1, 1, charts.FAINT)


def test_offsets_and_directions_are_those_of_the_statistics(analysis: Analysis, figures: dict[str, go.Figure]) -> None:
    statistics = analysis.offset_statistics("res4.1")
    drawn = {trace.name: trace.y for trace in figures["offsets"].data}
    np.testing.assert_allclose(drawn["mean"], statistics.mean_magnitude)
    np.testing.assert_allclose(drawn["largest"], statistics.max_magnitude)
    (rose,) = figures["directions"].data
    np.testing.assert_allclose(rose.r, statistics.direction[1])
    polar = figures["directions"].layout.polar.angularaxis
    assert (polar.direction, polar.rotation, polar.ticktext[1]) == ("clockwise", 0, "down"), "y points down"


def test_motion_over_time_is_read_at_the_query(analysis: Analysis, figures: dict[str, go.Figure]) -> None:
    maps = analysis.traces["res4.1"].saliency
    drawn = {trace.name: trace.y for trace in figures["motion"].data}
    np.testing.assert_allclose(drawn["mean"], maps.mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(drawn["largest"], maps.max((1, 2)), rtol=1e-6)
    cell = analysis.grid("res4.1").to_pixels(np.array([2.0, 1.0]))
    at_cell = charts.query_charts(analysis, analysis.select((1, *map(float, cell)), "res4.1", 1))["motion"]
    np.testing.assert_allclose(
        {trace.name: trace.y for trace in at_cell.data}["at the query"], maps[:, 1, 2], rtol=1e-6
    )


def test_predictions(analysis: Analysis, figures: dict[str, go.Figure]) -> None:
    bars = figures["predictions"].data[0]
    np.testing.assert_allclose(bars.x[::-1], [probability for _, probability in analysis.predictions[:5]])
    assert figures["predictions"].layout.yaxis.ticktext[-1] == analysis.predictions[0][0]


def test_an_untrained_model_has_no_predictions(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "info", replace(analysis.info, status="untrained"))
    assert "predictions" not in charts.query_charts(analysis, analysis.select())


def test_labels_are_text() -> None:
    figure = charts.predictions_chart([(NASTY, 0.75), ("short", 0.25)])
    shown = [*figure.layout.yaxis.ticktext, *figure.data[0].hovertext]
    assert not any("<" in text or ">" in text for text in shown)
    assert any("&lt;b&gt;" in text for text in shown)
    assert len(charts.shorten("x" * 500)) == charts.LONGEST_LABEL


@pytest.mark.parametrize("dataset", paper.DATASETS)
def test_the_cost_chart_holds_the_tables_and_nothing_else(dataset: str) -> None:
    rows = paper.results(dataset)
    figure = charts.cost_chart(rows, "title")
    drawn = sorted((x, y) for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True))
    assert drawn == sorted((row.total_gflops, row.top1) for row in rows if row.total_gflops)
    said = [row[4] for trace in figure.data for row in trace.customdata]
    assert sorted(said) == sorted(
        "" if row.top5 is None else f", top-5 {row.top5:.1f} %" for row in rows if row.total_gflops
    )
    assert not any("tiny" in json.dumps(trace.to_plotly_json(), default=str) for trace in figure.data)


def test_every_chart_is_transparent_and_says_what_its_axes_are(figures: dict[str, go.Figure]) -> None:
    for name, figure in figures.items():
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert figure.layout.title.text
        if name not in ("predictions", "directions"):
            assert figure.layout.xaxis.title.text
            assert figure.layout.yaxis.title.text
