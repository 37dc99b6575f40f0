"""The paper's Figure 5 for one query, as a picture or as vectors: frame t | attention on t+1 | motion | class evidence.

The viewer draws the same figure (web/src/viewer/figure5.js): the same titles, boxes, lines, colours and scales.
"""

from __future__ import annotations

import io
import warnings

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.class_evidence import METHOD_TITLES
from sifa_core.explain.maps import Box, enlarge, normalise, salient_box
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.render.facts import provenance
from sifa_core.explain.viewer.theme import BOX_COLOUR, LINK_COLOUR, QUERY_COLOUR, colour_table

PANEL_INCHES = 4.0
DPI = 110


def colour_map(quantity: str) -> ListedColormap:
    """The colours of weights, motion, saliency or evidence for matplotlib."""
    return ListedColormap(colour_table(quantity) / 255, quantity)


def compose(analysis: Analysis, selection: Selection) -> Figure:
    """Figure 5 of a selection as a matplotlib figure."""
    layer = selection.layer
    points = analysis.sampling_points(selection.query, layer, selection.levels)
    t, x, y = selection.query
    evidence = analysis.class_evidence(selection.stage, selection.target, selection.method, selection.against)
    maps = analysis.traces[layer].saliency if selection.paper else analysis.motion_cells()
    cells = maps[min(t, len(maps) - 1)]
    motion = enlarge(normalise(cells[None], "frame")[0], analysis.clip.height, analysis.clip.width)

    height = PANEL_INCHES * analysis.clip.height / analysis.clip.width
    figure = Figure(figsize=(4 * PANEL_INCHES, height + 1.25), dpi=DPI, facecolor="white", layout="constrained")
    # Four pictures and, under them, a row for the colour scales.
    pictures, scales = figure.subplots(2, 4, height_ratios=[height, 0.12])
    _show(pictures[0], analysis.frame(t), f"Frame {t}")
    _mark_query(pictures[0], x, y)
    picture = analysis.frame(points.frame)
    weights = _draw_attention(pictures[1], picture, points, f"Attention on frame {points.frame}")
    colours = colour_map("saliency" if selection.paper else "motion")
    title = f"Motion saliency (Eq. 5), {layer}" if selection.paper else "Motion"
    moving = _draw_heat(pictures[2], picture, motion, colours, title)
    if box := salient_box(cells, analysis.clip.height, analysis.clip.width):
        _draw_box(pictures[2], box)
    evident = _draw_heat(
        pictures[3], picture, evidence[points.frame], colour_map("evidence"), _evidence_title(analysis, selection)
    )
    scales[0].set_axis_off()
    labels = ["attention weight", "0 to 1 over the frame", "0 to 1 over the clip"]
    for axes, mappable, label in zip(scales[1:], (weights, moving, evident), labels, strict=True):
        _draw_scale(figure, axes, mappable, label)
    figure.suptitle(_title(analysis, layer, points), fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure


def pixels(analysis: Analysis, selection: Selection) -> NDArray[np.uint8]:
    """`compose` as pixels, uint8 [H, W, 3]."""
    canvas = FigureCanvasAgg(compose(analysis, selection))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # file names may hold any character
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def file(analysis: Analysis, selection: Selection, kind: str) -> bytes:
    """`compose` as a file: kind "png", "svg" or "pdf", with `provenance` in its metadata."""
    metadata = provenance(analysis)
    if kind == "pdf":  # PDF knows a fixed set of keys
        metadata = {"Title": metadata["Title"], "Keywords": metadata["Description"]}
    figure = compose(analysis, selection)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def _title(analysis: Analysis, layer: str, points: SamplingPoints) -> str:
    t, x, y = points.query
    trained = "" if analysis.info.is_trained else "  (untrained)"
    return (
        f"{analysis.clip.source.name}   |   {analysis.info.name}{trained}, layer {layer}   |   "
        f"query (x, y) = ({x:.0f}, {y:.0f}) in frame {t}, {len(points.points)} sampling points"
    )


def _evidence_title(analysis: Analysis, selection: Selection) -> str:
    method = METHOD_TITLES[selection.method]
    if not analysis.info.is_trained:
        return f"{method}: untrained, random"
    labels = analysis.info.labels
    against = "" if selection.against is None else f", not {labels[selection.against]}"
    return f"{method}: {labels[selection.target]}{against}"


def _show(axes: Axes, picture: NDArray[np.uint8], title: str) -> None:
    axes.imshow(picture, interpolation="antialiased")
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_axis_off()
    axes.autoscale(False)  # points beyond the frame must not move it


def _mark_query(axes: Axes, x: float, y: float) -> None:
    axes.plot(x, y, "o", markersize=10, color=QUERY_COLOUR, markeredgecolor="white", markeredgewidth=1.8)


def _draw_attention(axes: Axes, picture: NDArray[np.uint8], points: SamplingPoints, title: str) -> ScalarMappable:
    _show(axes, (picture * 0.65).astype(np.uint8), title)  # darker, so that the points' colours can be read
    x, y = points.query[1:]
    for number in points.strongest(3):
        axes.plot([x, points.points[number, 0]], [y, points.points[number, 1]], color=LINK_COLOUR, linewidth=2.2)
    low, high = float(points.weights.min()), float(points.weights.max())
    fraction = (points.weights - low) / (high - low) if high > low else np.ones_like(points.weights)
    order = np.argsort(points.weights, kind="stable")  # strongest on top
    drawn = axes.scatter(
        points.points[order, 0],
        points.points[order, 1],
        c=points.weights[order],
        s=18 + 70 * fraction[order],
        cmap=colour_map("weights"),
        norm=Normalize(low, high if high > low else low + 1e-6),
        edgecolors="white",
        linewidths=0.6,
        zorder=3,
    )
    _mark_query(axes, x, y)
    return drawn


def _draw_heat(
    axes: Axes, picture: NDArray[np.uint8], values: NDArray[np.float32], colours: ListedColormap, title: str
) -> ScalarMappable:
    _show(axes, np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8), title)
    axes.imshow(values, cmap=colours, vmin=0, vmax=1, alpha=0.25 + 0.5 * values)  # the picture shows where little is
    return ScalarMappable(Normalize(0, 1), colours)


def _draw_scale(figure: Figure, axes: Axes, mappable: ScalarMappable, label: str) -> None:
    bar = figure.colorbar(mappable, cax=axes, orientation="horizontal", ticks=MaxNLocator(5))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    bar.set_label(label, fontsize=9)
    axes.tick_params(labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_box(axes: Axes, box: Box) -> None:
    x, y, width, height = box
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=BOX_COLOUR, linewidth=2.2))
