"""`python -m tests.viewer.shared_points` writes sampling points for the tests of both languages: a layer and the one
before it, queries, and the points that Python finds."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from sifa_core.explain.geometry import FeatureGrid
from sifa_core.explain.points import compose_points

PATH = Path(__file__).parents[2] / "web" / "tests" / "points.json"
ROWS, COLUMNS, HEIGHT, WIDTH = 4, 5, 80, 130
QUERIES = ((0, 0.0, 0.0), (0, 64.5, 39.5), (1, 129.0, 79.0), (1, 17.25, 70.5))
"""Frame, x, y: corners, the middle, and a place between cells."""


def cases() -> dict[str, Any]:
    """Offsets of up to two cells, so that some points lie beyond the picture."""
    chance = np.random.default_rng(7)
    layers = [
        SimpleNamespace(
            kernel_size=3,
            offset=chance.uniform(-2, 2, (2, 9, 2, ROWS, COLUMNS)).round(3),
            weights=chance.uniform(0, 1, (2, 9, ROWS, COLUMNS)).round(3),
        )
        for _ in range(2)
    ]
    grid: Any = FeatureGrid(ROWS, COLUMNS, HEIGHT, WIDTH)
    found = []
    for query in QUERIES:
        for levels in (1, 2):
            later: Any = layers[1]
            earlier: Any = layers[0] if levels == 2 else None
            points = compose_points(later, earlier, grid, query, query[0] + 1)
            found.append(
                {
                    "query": list(query),
                    "levels": levels,
                    "points": np.round(points.points, 6).tolist(),
                    "base": np.round(points.base, 6).tolist(),
                    "weights": np.round(points.weights, 6).tolist(),
                    "inFrame": points.in_frame.tolist(),
                    "strongest": points.strongest(3).tolist(),
                }
            )
    arrays = [{"offset": each.offset.ravel().tolist(), "weights": each.weights.ravel().tolist()} for each in layers]
    return {
        "grid": {"rows": ROWS, "columns": COLUMNS, "height": HEIGHT, "width": WIDTH},
        "layers": arrays,
        "found": found,
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(cases()) + "\n", encoding="utf-8")
