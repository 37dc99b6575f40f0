"""Where do maps and sampling points lie, held against clips whose truth is known: what moves, and where to.

Localisation only: whether the network rests its answer on those places is asked by `faithfulness`.

Legend: N input frames, T feature frames, A = T - 1 pairs of them, H x W pixels, h x w cells of a map, P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifa_core.explain.analysis import Analysis
from sifa_core.explain.baselines import centre, flow_length, frame_difference
from sifa_core.explain.class_evidence import DEFAULT_METHOD, GRADIENT_METHODS
from sifa_core.explain.geometry import FloatArray
from sifa_core.explain.maps import enlarge
from sifa_core.explain.optical_flow import FlowReader, agreement, centres, estimated_flow, frame_motion
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.scores import area_under_curve

Maps = Sequence[NDArray[np.float32]] | NDArray[np.float32]
Masks = Sequence[NDArray[np.bool_]] | NDArray[np.bool_]

AUC_LINES = 64
"""Lines of pixels along the short side over which areas under the curve are taken; maps are coarser than that."""
BASELINES = ("frame_difference", "optical_flow", "centre", "random")
"""Maps that know no network; see `explain.baselines`. Optical flow is OpenCV's, estimated from the clip."""
POINT_FIGURES = ("strongest", "attention", "points", "regular", "area")
FLOW_FIGURES = ("cosine", "error", "regular_cosine", "regular_error", "still_error")


@dataclass(frozen=True)
class Truth:
    """What moves in a clip of N frames."""

    moving: NDArray[np.bool_]
    """[N, H, W]: pixels of what moves, in every frame."""
    flow: FloatArray | None = None
    """[N-1, H, W, 2]: pixels (x, y) from each frame to the next. None where only the mask is known."""


@dataclass(frozen=True)
class PlaceScores:
    """How well a map lies on what moves: means over the frames of a clip in which something moves, NaN without any.

    "Merged" counts a pixel that the mover covers in any input frame that the map is about, for a map sees them all;
    "shown" only where it is in the one picture that the map is drawn over.
    """

    auc: float
    """Area under the curve, mover (merged) against rest."""
    peak: float
    """Whether the map's maximum lies on the mover (merged), 0..1."""
    auc_shown: float
    peak_shown: float


def motion_maps(analysis: Analysis) -> dict[str, Maps]:
    """All maps of what moves by name, [A] of [h, w] each: "motion", the overlay; "motion part res3.0", ...; Eq. 5."""
    found: dict[str, Maps] = {"motion": analysis.motion_cells()}
    pairs = analysis.num_frames - 1
    for layer, trace in analysis.traces.items():
        found[f"Eq. 5 {layer}"] = trace.saliency[:pairs]
        found[f"motion part {layer}"] = trace.motion[:pairs]
        found[f"difference {layer}"] = trace.difference[:pairs]
        found[f"relative difference {layer}"] = trace.relative_difference[:pairs]
    return found


def evidence_maps(analysis: Analysis, extra: Sequence[tuple[str, str]] = ()) -> dict[str, Maps]:
    """All maps of the predicted class's evidence by method and stage, "grad_cam res5", [T] of [h, w] each.

    One forward and backward for all of them; `extra` are further (method, stage) pairs, for occlusion.
    """
    chosen = [(method, stage) for method in GRADIENT_METHODS for stage in analysis.model.stage_outputs()]
    return {f"{method} {stage}": analysis.evidence_cells(stage, method=method) for method, stage in [*chosen, *extra]}


def default_evidence(analysis: Analysis) -> str:
    """The name in `evidence_maps` of the map that is shown first."""
    return f"{DEFAULT_METHOD} {analysis.evidence_stage(None, DEFAULT_METHOD)}"


def baseline_maps(analysis: Analysis, flow: FlowReader, spans: Sequence[range], seed: int) -> dict[str, Maps]:
    """BASELINES for maps that are about the input frames in `spans`, [len(spans)] of [H, W] each."""
    frames, rng = analysis.clip.frames, np.random.default_rng(seed)
    height, width = frames.shape[1:3]
    found: dict[str, Maps] = {
        "frame_difference": [frame_difference(frames, span.start, span.stop - 1) for span in spans],
        "optical_flow": [flow_length([flow(number) for number in span[:-1]]) for span in spans],
        "centre": [centre(height, width)] * len(spans),
        "random": [rng.random((height, width), dtype=np.float32) for _ in spans],
    }
    return found


def spans(analysis: Analysis, together: int) -> list[range]:
    """The input frames of each run of `together` feature frames: 1 for maps of frames, 2 for maps of pairs."""
    stride, last = analysis.model.temporal_stride, analysis.clip.num_frames
    count = analysis.num_frames - together + 1
    return [range(t * stride, min((t + together) * stride, last)) for t in range(count)]


def place_scores(maps: Maps, merged: Masks, shown: Masks) -> PlaceScores:
    """Hold maps, of any size each, against masks [H, W]: what they are about, and what is in the picture shown."""
    rows = []
    for image, wide, narrow in zip(maps, merged, shown, strict=True):
        if not wide.any() or wide.all():
            continue
        full = enlarge(np.asarray(image, np.float32), *wide.shape)
        step = max(1, min(wide.shape) // AUC_LINES)
        coarse = full[::step, ::step]
        peak = np.unravel_index(int(full.argmax()), full.shape)
        is_seen = narrow.any()
        rows.append(
            (
                area_under_curve(coarse, wide[::step, ::step]),
                float(wide[peak]),
                area_under_curve(coarse, narrow[::step, ::step]) if is_seen else np.nan,
                float(narrow[peak]) if is_seen else np.nan,
            )
        )
    return PlaceScores(*_means(np.array(rows, float).reshape(-1, 4)))


def score_maps(
    analysis: Analysis, moving: NDArray[np.bool_], *, seed: int = 0, extra: Sequence[tuple[str, str]] = ()
) -> tuple[dict[str, PlaceScores], dict[str, PlaceScores]]:
    """Scores by name of the maps of what moves, and of the maps of class evidence, each beside BASELINES.

    `moving` is [N, H, W]; `seed` draws the random map; `extra` is as in `evidence_maps`.
    """
    flow = estimated_flow(analysis.clip.frames)
    known: dict[int, FloatArray] = {}

    def read(number: int) -> FloatArray:
        if number not in known:
            known[number] = flow(number)
        return known[number]

    found = []
    for together, maps in ((2, motion_maps(analysis)), (1, evidence_maps(analysis, extra))):
        about = spans(analysis, together)
        merged = np.stack([moving[span.start : span.stop].any(0) for span in about])
        shown = moving[analysis.frame_index[: len(about)]]
        maps |= baseline_maps(analysis, read, about, seed)
        found.append({name: place_scores(each, merged, shown) for name, each in maps.items()})
    return found[0], found[1]


def score_points(analysis: Analysis, moving: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Do the points of a query on the mover's middle lie on it in the next frame? By layer and levels, "res4.1 x 2".

    POINT_FIGURES, fractions, means over pairs of frames: of the strongest three points, of the attention, of all
    points, of the regular grid, and the mover's share of the picture. NaN if it is in no two successive frames.
    """
    shown = [moving[number] for number in analysis.frame_index]
    pairs = [t for t in range(analysis.num_frames - 1) if shown[t].any() and shown[t + 1].any()]
    found = {}
    for layer in analysis.layers:
        attended = len(analysis.traces[layer].offset)
        for levels in range(1, analysis.max_levels(layer) + 1):
            rows = []
            for t in pairs:
                if t < attended:
                    points = analysis.sampling_points((t, *_middle(shown[t])), layer, levels)
                    rows.append(_on_mover(points, shown[t + 1]))
            means = _means(np.array(rows, float).reshape(-1, len(POINT_FIGURES)))
            found[f"{layer} x {levels}"] = dict(zip(POINT_FIGURES, means, strict=True))
    return found


def score_displacements(analysis: Analysis, truth: Truth) -> dict[str, dict[str, float]]:
    """How well the attention-weighted displacement agrees with the true flow where the mover moves, by layer.

    FLOW_FIGURES as `FlowAgreement` names them, means over the clip's moving cells, and "cells", how many there are.
    """
    assert truth.flow is not None
    flow, found = truth.flow, {}
    grids = [analysis.grid(layer) for layer in analysis.layers]
    motion = frame_motion(lambda number: flow[number], analysis.frame_index, grids)
    for layer, grid, pairs in zip(analysis.layers, grids, motion, strict=True):
        column, row = np.moveaxis(np.rint(centres(grid)).astype(int), -1, 0)
        limits = truth.moving.shape[1] - 1, truth.moving.shape[2] - 1
        inside = np.clip(row, 0, limits[0]), np.clip(column, 0, limits[1])
        masks = [truth.moving[number][inside] for number in analysis.frame_index]
        known = [(displacement, moves & mask) for (displacement, moves), mask in zip(pairs, masks, strict=False)]
        compared = agreement(analysis.traces[layer], known)
        figures = {name: compared.mean(name) for name in FLOW_FIGURES}
        found[layer] = figures | {"cells": float(compared.moving_cells.sum())}
    return found


def _middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The pixel (x, y) of the mask that is nearest to its centre of gravity."""
    row, column = np.nonzero(mask)
    nearest = int(((row - row.mean()) ** 2 + (column - column.mean()) ** 2).argmin())
    return float(column[nearest]), float(row[nearest])


def _on_mover(points: SamplingPoints, mask: NDArray[np.bool_]) -> tuple[float, ...]:
    """POINT_FIGURES for one query; points beyond the picture lie on nothing."""
    lies, regular = (_inside(places, mask) for places in (points.points, points.base))
    share = np.abs(points.weights)
    total = float(share.sum())
    attention = float((share * lies).sum() / total) if total else float(lies.mean())
    return (
        float(lies[points.strongest(3)].mean()),
        attention,
        float(lies.mean()),
        float(regular.mean()),
        float(mask.mean()),
    )


def _inside(places: FloatArray, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether pixels [P, 2] as (x, y) are in the mask."""
    height, width = mask.shape
    column, row = np.rint(places).astype(int).T
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return np.asarray(within & mask[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)])


def _means(rows: FloatArray) -> list[float]:
    """Means of the columns without NaN; NaN for a column that has nothing else."""
    known = ~np.isnan(rows)
    total = np.where(known, rows, 0).sum(0)
    return [float(value / count) if count else float("nan") for value, count in zip(total, known.sum(0), strict=True)]
