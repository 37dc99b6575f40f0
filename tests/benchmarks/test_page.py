"""The page's benchmark: its table; tests/browser/test_benchmark.py has the measuring."""

from __future__ import annotations

from benchmarks import page as benchmark


def test_each_figure_stands_beside_its_goal() -> None:
    figures = [benchmark.Figure("fast enough", 1.0, [0.5, 0.25, 3.0]), benchmark.Figure("slow", 0.016, [0.017])]
    rows = benchmark.table(figures).splitlines()[-2:]
    assert rows == [
        "| fast enough | 1 | 0.5 | 0.25 | met |",
        "| slow | 0.016 | 0.017 | 0.017 | missed |",
    ]
