"""Plotly figures of one layer's offsets in one frame. Colours of text and lines come from style.css, light or dark."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from sifa_core import Analysis

FONT = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif"
HEIGHT = 296
GRID = "rgba(127, 137, 148, 0.35)"
COMPASS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
"""Names of the sectors of `OffsetStatistics.direction`: clockwise from right, as seen."""


def frames_of(analysis: Analysis, t: int) -> str:
    """Frame t and the frame that it attends to, in words."""
    return f"{t} → {t + 1}" if t < analysis.num_frames - 1 else f"{t} → itself"


def length_histogram(analysis: Analysis, layer: str, t: int) -> go.Figure:
    """How long the offsets are. Raises QueryError for a layer or frame that does not exist."""
    shares, edges = analysis.offset_histogram(layer, t)
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=100 * shares,
            width=(edges[1:] - edges[:-1]) * 0.92,
            hovertemplate="about %{x:.2f} cells: %{y:.1f} %<extra></extra>",
        )
    )
    axis: dict[str, Any] = {"fixedrange": True, "zeroline": False, "tickfont": {"size": 11}, "gridcolor": GRID}
    return figure.update_layout(
        **_layout(f"How long the offsets are<br>{layer}, {frames_of(analysis, t)}", left=44, bottom=40),
        xaxis=axis | {"title": {"text": "length, cells", "font": {"size": 12}}, "showgrid": False},
        yaxis=axis | {"ticksuffix": " %", "rangemode": "tozero", "nticks": 5},
        bargap=0,
    )


def direction_rose(analysis: Analysis, layer: str, t: int) -> go.Figure:
    """Which way they point: each direction's share of the summed length."""
    analysis.check_frame(t)
    shares = 100 * analysis.offset_statistics(layer).direction[t]
    title = "Which way they point" if shares.any() else "No way: every offset is zero"
    figure = go.Figure(
        go.Barpolar(
            r=shares,
            theta=[45 * sector for sector in range(len(COMPASS))],
            width=[41] * len(COMPASS),
            customdata=COMPASS,
            hovertemplate="%{customdata}: %{r:.0f} %<extra></extra>",
        )
    )
    return figure.update_layout(
        **_layout(f"{title}<br>{layer}, {frames_of(analysis, t)}", left=34, bottom=18),
        polar={
            "bgcolor": "rgba(0,0,0,0)",
            "angularaxis": {
                "direction": "clockwise",
                "rotation": 0,
                "tickvals": [0, 90, 180, 270],
                "ticktext": ["right", "down", "left", "up"],
                "tickfont": {"size": 12},
                "gridcolor": GRID,
                "linecolor": GRID,
            },
            "radialaxis": {
                "ticksuffix": " %",
                "nticks": 3,
                "angle": 22,
                "tickangle": 22,
                "tickfont": {"size": 10},
                "gridcolor": GRID,
                "linecolor": GRID,
            },
        },
    )


def _layout(title: str, left: int, bottom: int) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 12.5}, "x": 0.5, "xanchor": "center", "y": 0.97},
        "font": {"family": FONT},
        "height": HEIGHT,
        "margin": {"l": left, "r": 34 if left == 34 else 12, "t": 56, "b": bottom},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
    }
