"""Plotly charts that take their text and lines from the page: transparent, so that they fit it light and dark.

Only features of plotly.js 3. Colours can be told apart by colour-blind people, and nothing is told by colour alone.
Legend: K taps, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from sifa_core import Analysis
from sifa_core.explain.analysis import Selection
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.statistics import OffsetStatistics
from sifa_core.explain.studies.faithfulness import Faithfulness
from sifa_core.explain.studies.series import MotionSeries, motion_series
from sifa_core.explain.viewer.theme import CHARTS
from sifa_core.inference import shown_predictions
from sifa_core.paper import Result
from sifa_core.timeline import Timeline

BLUE, ORANGE, GREEN, PURPLE, INK = (CHARTS[name] for name in ("blue", "orange", "green", "purple", "ink"))
"""INK is text that can be read on white and on near-black; the page's style sheet puts its own in its place."""
FAINT = 0.45
"""Opacity of what does not stand out."""
LINKED = 3
"""Points that the viewer draws lines to."""
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
LINE = "rgba(125, 135, 146, 0.25)"
COMPASS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
"""Names of the eight sectors of `OffsetStatistics.direction`."""
COSTS = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
"""Where the axis of costs is labelled."""
LONGEST_LABEL = 34
FAITHFULNESS_TITLES = {
    "deletion": "Places held still: a lower line is better",
    "insertion": "Only these places move: a higher line is better",
}
"""Title of the chart of each curve of `Faithfulness`, by its field."""
ORDER_LINES = {
    "evidence": ("as the picture says", BLUE, "solid", "circle"),
    "frame_difference": ("where it changes most", ORANGE, "dash", "diamond"),
    "random": ("in random order", INK, "dot", "x"),
}
"""Name, colour, line and mark of each order in which places are taken."""
DATASETS = {
    "kinetics400": "Kinetics-400",
    "kinetics600": "Kinetics-600",
    "something_v1": "Something-Something V1",
    "something_v2": "Something-Something V2",
}
"""Data sets of the paper's tables, and their titles."""
QUERY_CHARTS = ("predictions", "matrix", "ranking", "offsets", "directions", "motion")
"""Charts of a query in the order of the page; an untrained model has no predictions."""
TIMELINE_LINES = ((BLUE, "solid", "circle"), (ORANGE, "dash", "diamond"), (PURPLE, "dot", "square"))
"""Colour, line and mark of each class of a timeline."""
TIMELINE_CLASSES = len(TIMELINE_LINES)
HEIGHT, TALL = 270, 296
"""Of a chart, and of one whose title has two lines; pixels."""


def query_charts(analysis: Analysis, selection: Selection) -> dict[str, go.Figure]:
    """All charts of a query by name, see QUERY_CHARTS; without predictions if the model is untrained."""
    t = selection.query[0]
    side = analysis.traces[selection.layer].kernel_size
    statistics = analysis.offset_statistics(selection.layer)
    figures = {
        "matrix": weights_matrix(analysis.sampling_points(selection.query, selection.layer), side),
        "ranking": weights_ranking(analysis.sampling_points(selection.query, selection.layer, selection.levels)),
        "offsets": offsets_chart(statistics, t),
        "directions": directions_chart(statistics, t),
        "motion": motion_chart(motion_series(analysis, selection), t),
    }
    if shown := shown_predictions(analysis.info, analysis.predictions):
        figures["predictions"] = predictions_chart(shown)
    return figures


def predictions_chart(predictions: Sequence[tuple[str, float]], count: int = 5) -> go.Figure:
    """The most probable classes, best on top."""
    best = list(reversed(predictions[:count]))
    figure = go.Figure(
        go.Bar(
            x=[probability for _, probability in best],
            y=list(range(len(best))),
            orientation="h",
            marker={"color": BLUE, "opacity": [FAINT] * (len(best) - 1) + [1]},
            text=[f"{probability:.1%}" for _, probability in best],
            textposition="outside",
            cliponaxis=False,
            hovertext=[plain(label) for label, _ in best],
            hovertemplate="%{hovertext}: %{x:.2%}<extra></extra>",
        )
    )
    labels = [plain(shorten(label)) for label, _ in best]
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(best))), ticktext=labels, automargin=True)
    figure.update_xaxes(range=[0, 1.24], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return _finish(figure, "Predictions")


def weights_matrix(points: SamplingPoints, side: int) -> go.Figure:
    """Weights of one level as the k x k matrix: where each tap lies on the regular grid."""
    rows = points.weights.reshape(side, side)
    reach = side // 2
    steps = [str(step) if step <= 0 else f"+{step}" for step in range(-reach, reach + 1)]
    figure = go.Figure(
        go.Heatmap(
            z=rows,
            x=steps,
            y=steps,
            colorscale="Inferno",
            texttemplate="%{z:.3g}" if side <= 5 else "",
            xgap=2,
            ygap=2,
            colorbar={"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, "nticks": 5},
            hovertemplate="column %{x}, row %{y}: %{z:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(title="columns from the query", type="category", showgrid=False)
    figure.update_yaxes(title="rows", type="category", autorange="reversed", showgrid=False)
    return _finish(figure, "Attention weights where the taps lie on the grid")


def weights_ranking(points: SamplingPoints) -> go.Figure:
    """Weights of all points, largest first; those that the viewer draws lines to stand out."""
    order = points.strongest(len(points.weights))
    names = [str(rank) for rank in range(1, len(order) + 1)]
    place = [f"({x:.0f}, {y:.0f})" for x, y in points.points[order]]
    where = ["" if inside else ", outside the picture" for inside in points.in_frame[order]]
    figure = go.Figure(
        go.Bar(
            x=names,
            y=points.weights[order],
            marker={"color": BLUE, "opacity": [1 if number < LINKED else FAINT for number in range(len(order))]},
            customdata=[[each, note] for each, note in zip(place, where, strict=True)],
            hovertemplate="No. %{x} at %{customdata[0]}%{customdata[1]}: %{y:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(title="points, strongest first", type="category", nticks=10, showgrid=False)
    figure.update_yaxes(title="weight")
    return _finish(figure, f"Attention weights of the {len(order)} points")


def offsets_chart(statistics: OffsetStatistics, t: int) -> go.Figure:
    """Mean and largest offset of every frame, the query's frame marked."""
    figure = go.Figure()
    for name, values, colour, symbol in (
        ("largest", statistics.max_magnitude, ORANGE, "diamond"),
        ("mean", statistics.mean_magnitude, BLUE, "circle"),
    ):
        _add_curve(figure, values, name, "cells", colour, symbol=symbol)
    _mark_frame(figure, t)
    figure.update_xaxes(title="feature frame t", dtick=max(1, len(statistics.mean_magnitude) // 8))
    figure.update_yaxes(title="cells", rangemode="tozero")
    return _finish(figure, "How far points are moved", legend=True)


def directions_chart(statistics: OffsetStatistics, t: int) -> go.Figure:
    """Which way the points of frame t are moved: fractions of the summed length in eight directions."""
    figure = _rose(statistics.direction[min(t, len(statistics.direction) - 1)])
    finished = _finish(figure, f"Which way they are moved in frame {t}")
    return finished.update_layout(margin={"l": 50, "r": 50, "t": 58, "b": 28})


def direction_rose(analysis: Analysis, layer: str, t: int) -> go.Figure:
    """As `directions_chart`, for a layer. Raises QueryError for a layer or frame that does not exist."""
    fractions = analysis.offset_statistics(layer).direction[analysis.check_frame(t)]
    title = "Which way they point" if fractions.any() else "No way: every offset is zero"
    return _centre(_rose(fractions), f"{title}<br>{layer}, {frames_of(analysis, t)}", left=34, right=34, bottom=26)


def length_histogram(analysis: Analysis, layer: str, t: int) -> go.Figure:
    """How long the offsets of a layer are. Raises QueryError for a layer or frame that does not exist."""
    fractions, edges = analysis.offset_histogram(layer, t)
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=fractions,
            width=(edges[1:] - edges[:-1]) * 0.92,
            hovertemplate="about %{x:.2f} cells: %{y:.1%}<extra></extra>",
        )
    )
    figure.update_layout(bargap=0)
    figure.update_xaxes(title="length, cells", showgrid=False)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=5)
    title = f"How long the offsets are<br>{layer}, {frames_of(analysis, t)}"
    return _centre(figure, title, left=44, right=12, bottom=40)


def frames_of(analysis: Analysis, t: int) -> str:
    """Frame t and the frame that it attends to, in words."""
    return f"{t} → {t + 1}" if t < analysis.num_frames - 1 else f"{t} → itself"


def motion_chart(series: MotionSeries, t: int) -> go.Figure:
    """Motion saliency over time: at the query's place, and the mean and maximum of the map."""
    figure = go.Figure()
    for name, values, colour, dash in (
        ("largest", series.largest, ORANGE, "dot"),
        ("at the query", series.at_place, GREEN, "solid"),
        ("mean", series.mean, BLUE, "dash"),
    ):
        _add_curve(figure, values, name, "", colour, dash=dash)
    _mark_frame(figure, t)
    figure.update_xaxes(title="feature frame t", dtick=max(1, len(series.mean) // 8))
    figure.update_yaxes(title="channel mean of |f_m|", rangemode="tozero")
    return _finish(figure, "Motion saliency over time", legend=True)


def timeline_chart(found: Timeline, classes: Sequence[int], window: tuple[float, float]) -> go.Figure:
    """A whole video: how much moves in every frame, the probability of `classes` in each of its windows, cuts, and from
    when to when the window goes that is shown."""
    figure = go.Figure()
    seconds, motion = found.course.timestamps, found.course.motion
    figure.add_scatter(
        x=seconds,
        y=100 * motion,
        name="movement (right scale)",
        yaxis="y2",
        mode="lines",
        line={"color": INK, "width": 1},
        fill="tozeroy",
        fillcolor=LINE,
        hovertemplate="%{x:.2f} s: moves by %{y:.1f} % of the short side<extra></extra>",
    )
    centres = [sum(moment.seconds) / 2 for moment in found.moments]
    for number, (colour, dash, symbol) in zip(classes, TIMELINE_LINES, strict=False):
        label = plain(shorten(found.labels[number]))
        figure.add_scatter(
            x=centres,
            y=[float(moment.probabilities[number]) for moment in found.moments],
            customdata=[(*moment.seconds, moment.stride) for moment in found.moments],
            name=label,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"symbol": symbol, "size": 7},
            hovertemplate=f"{label}: %{{y:.1%}}, %{{customdata[0]:.2f}} to %{{customdata[1]:.2f}} s<extra></extra>",
        )
    figure.add_vrect(*window, fillcolor=GREEN, opacity=0.16, line_width=0)
    centre = sum(window) / 2
    figure.add_annotation(text="shown", x=centre, y=1, yref="paper", yanchor="bottom", showarrow=False)
    for second in found.cuts:
        figure.add_vline(x=second, line={"color": INK, "width": 1, "dash": "dash"}, annotation_text="cut")
    _finish(figure, "", legend=True)
    figure.update_xaxes(title="seconds", range=[float(seconds[0]), float(seconds[-1])])
    most = float(np.nanmax(motion, initial=0.0))
    second_axis = {
        "title": "movement, %",
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "tickmode": "auto",
        "nticks": 5,
    }
    return figure.update_layout(
        yaxis={"title": "probability", "tickformat": ".0%", "range": [-0.02, 1.04]},
        yaxis2={**second_axis, "range": [0, max(1.0, 220 * most)], "fixedrange": True, "title_font_size": 12},
        margin={"l": 56, "r": 56, "t": 20, "b": 44},
        legend={"x": 0, "xanchor": "left", "y": -0.36, "yanchor": "top"},
        height=TALL,
    )


def faithfulness_chart(found: Faithfulness, curve: str) -> go.Figure:
    """Probability of the class over the fraction of places that are held still, or that alone move; `curve` is a key of
    FAITHFULNESS_TITLES."""
    figure = go.Figure()
    curves = getattr(found, curve)
    for order, (name, colour, dash, symbol) in ORDER_LINES.items():
        figure.add_scatter(
            x=found.fractions,
            y=curves[order],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"symbol": symbol, "size": 7},
            hovertemplate=f"{name}, %{{x:.0%}} of the clip: %{{y:.1%}}<extra></extra>",
        )
    figure.update_xaxes(title="fraction of the clip", tickformat=".0%", tickvals=[0, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
    figure.update_yaxes(title="probability", tickformat=".0%", range=[-0.02, 1.04], nticks=6)
    finished = _finish(figure, FAITHFULNESS_TITLES[curve], legend=True)
    return finished.update_layout(height=TALL, legend={"y": -0.3, "yanchor": "top", "x": 0, "xanchor": "left"})


def cost_chart(results: Sequence[Result], title: str) -> go.Figure:
    """Accuracy against cost of a video, as the paper's table prints them; its own models stand out and are joined."""
    figure = go.Figure()
    known = [result for result in results if result.total_gflops]
    ours = sorted((each for each in known if each.is_ours), key=lambda each: (each.backbone, each.total_gflops))
    groups = [
        (family, [each for each in known if each.family == family and not each.is_ours])
        for family in ("convolutional", "transformer")
    ]
    for (family, rows), symbol in zip(groups, ("circle-open", "square-open"), strict=True):
        _add_results(figure, rows, f"others, {family}", mode="markers", symbol=symbol, colour=INK)
    for backbone in dict.fromkeys(each.backbone for each in ours):
        rows = [each for each in ours if each.backbone == backbone]
        style = {"R50": ("circle", BLUE), "R101": ("diamond", ORANGE)}.get(backbone, ("square", PURPLE))
        name = f"{rows[0].method}, {backbone}"
        _add_results(figure, rows, name, mode="lines+markers", symbol=style[0], colour=style[1])
    figure.update_xaxes(
        title="multiply-adds of a video, GFLOPs (logarithmic)",
        type="log",
        tickvals=COSTS,
        ticktext=[f"{cost:,}" for cost in COSTS],
    )
    figure.update_yaxes(title="top-1 accuracy, %")
    finished = _finish(figure, title, legend=True)
    return finished.update_layout(height=440, legend={"y": -0.2, "yanchor": "top", "x": 0, "xanchor": "left"})


def shorten(label: str) -> str:
    """A label short enough to stand beside an axis."""
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def plain(text: str) -> str:
    """Text that plotly shows as it is: it takes tags for mark-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _add_results(figure: go.Figure, rows: Sequence[Result], name: str, *, mode: str, symbol: str, colour: str) -> None:
    figure.add_scatter(
        x=[each.total_gflops for each in rows],
        y=[each.top1 for each in rows],
        name=name,
        mode=mode,
        line={"color": colour, "width": 1.5},
        marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.6, "color": colour}},
        customdata=[[each.label, each.backbone, each.gflops_per_view, each.views, _top5(each)] for each in rows],
        hovertemplate="%{customdata[0]}, %{customdata[1]}<br>%{customdata[2]:,} GFLOPs × %{customdata[3]} views"
        "<br>top-1 %{y:.1f} %%{customdata[4]}<extra></extra>",
    )


def _top5(result: Result) -> str:
    return "" if result.top5 is None else f", top-5 {result.top5:.1f} %"


def _rose(fractions: np.ndarray) -> go.Figure:
    """Fractions in eight directions, as seen: right is right, and clockwise is clockwise."""
    figure = go.Figure(
        go.Barpolar(
            r=fractions,
            theta=[45 * number for number in range(len(COMPASS))],
            width=[41] * len(COMPASS),
            marker_color=BLUE,
            customdata=list(COMPASS),
            hovertemplate="%{customdata}: %{r:.1%}<extra></extra>",
        )
    )
    lines = {"gridcolor": LINE, "linecolor": LINE}
    names = {"tickvals": [0, 90, 180, 270], "ticktext": ["right", "down", "left", "up"]}
    scale = {"tickformat": ".0%", "nticks": 3, "angle": 22.5, "tickangle": 22.5, "tickfont": {"size": 10}}
    return figure.update_polars(
        bgcolor="rgba(0,0,0,0)",
        angularaxis={"direction": "clockwise", "rotation": 0} | names | lines,
        radialaxis=scale | lines,
    )


def _centre(figure: go.Figure, title: str, *, left: int, right: int, bottom: int) -> go.Figure:
    """Finished, with a title of two lines in its middle."""
    return _finish(figure, "").update_layout(
        title={"text": title, "font": {"size": 12.5}, "x": 0.5, "xanchor": "center", "y": 0.97},
        height=TALL,
        margin={"l": left, "r": right, "t": 56, "b": bottom},
    )


def _mark_frame(figure: go.Figure, t: int) -> None:
    figure.add_vline(x=t, line={"color": GREEN, "width": 1.5, "dash": "dot"})


def _add_curve(
    figure: go.Figure,
    values: Sequence[float] | np.ndarray,
    name: str,
    unit: str,
    colour: str,
    *,
    dash: str = "solid",
    symbol: str = "circle",
) -> None:
    """One value for every feature frame."""
    figure.add_scatter(
        x=list(range(len(values))),
        y=values,
        name=name,
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"symbol": symbol, "size": 8},
        hovertemplate=f"frame %{{x}}, {name}: %{{y:.3g}} {unit}<extra></extra>",
    )


def _finish(figure: go.Figure, title: str, *, legend: bool = False) -> go.Figure:
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 13}, "x": 0, "xref": "container", "xanchor": "left", "y": 0.98},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 56, "r": 16, "t": 40, "b": 48},
        height=HEIGHT,
        showlegend=legend,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom", "font": {"size": 11}},
        hoverlabel={"font": {"family": FONT, "size": 12}},
        dragmode=False,
        modebar={"remove": ["zoom", "pan", "select", "lasso", "zoomin", "zoomout", "autoscale", "resetscale"]},
    )
    axis = {"gridcolor": LINE, "linecolor": LINE, "zeroline": False, "fixedrange": True, "title_font_size": 12}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
