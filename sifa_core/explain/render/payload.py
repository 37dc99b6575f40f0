"""Everything the viewer needs to know about one analysis, as one JSON-serialisable dictionary.

Legend: T feature frames, A attended frames (T, or T-1 if the last frame attends to nothing), K taps, h x w cells.

Format "sifa-viewer/2"; lengths in pixels of the clip as shown, (x, y), pixel centres at integers:

    format          "sifa-viewer/2"
    clip            name, sha256, width, height, fps, duration, frames, first_time, last_time
    model           name, status ("demo" | "own" | "untrained"), source, sha256, classes: their names in order, or []
                    if the model is untrained
    predictions     [{label, probability}], most probable first, or null if the model is untrained
    video           the same of the whole video that the clip is from, or null where that is not known
    frames          T x {index: frame of the clip, time: seconds, picture: JPEG}
    thumbnails      [{t: feature frame that the picture belongs to, index, picture: JPEG}] in the order of the clip
    motion          what moves, see `Analysis.motion`: {rows, columns, pairs: P, cells: [P, rows, columns],
                    boxes: P x ([left, top, width, height] of the salient region | null)}
    layers          [{name, stage, kernel_size, rows: h, columns: w, attended: A, max_levels: 1 | 2,
                      offset: [A, K, 2, h, w] (x, y) in cells, weights: [A, K, h, w], saliency: [A, h, w] (Eq. 5),
                      boxes: A x the same of saliency, offset_source: a sentence where offsets are computed from
                      something else than Eq. 5, or "", statistics: see `OffsetStatistics`}]; the three arrays are null
                    where they are held back
    methods         [{name, title, words: what its picture says, stage: the one it is read at unless asked otherwise}]
    stages          names of the stages that class evidence can be read at
    evidence        [see `evidence_map`]: the pictures of class evidence that are here: the one shown first, then the
                    paper's own, which may be the same, then others
    start           {layer, levels, query: [t, x, y], paper}: what is shown first

Pictures are base64 JPEG without a prefix; arrays are base64 of little-endian float16, the last axis fastest.
File names and labels are untrusted text, here as they came: whoever shows them must show them as text.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Analysis, Selection, Target, stage_of
from sifa_core.explain.class_evidence import GRADIENT_METHODS, METHOD_TITLES, METHOD_WORDS, METHODS
from sifa_core.explain.maps import salient_box
from sifa_core.explain.render.facts import clip_facts, finite, model_facts
from sifa_core.explain.trace import OFFSET_SOURCES
from sifa_core.inference import public_predictions

FORMAT = "sifa-viewer/2"
ARRAYS = ("offset", "weights", "saliency")
LARGEST = 3_000_000
"""Bytes of a payload that is sent in one piece."""
SHOWN_PREDICTIONS = 5
PICTURE_SIDE = 480
"""Longest short side of a picture, pixels."""
PICTURE_QUALITY = 85
THUMBNAIL_SIDE = 72
THUMBNAIL_QUALITY = 75
MOST_THUMBNAILS = 64
"""Clips with more frames than this get thumbnails of their feature frames only."""


def viewer_payload(
    analysis: Analysis,
    selection: Selection,
    video: Sequence[tuple[str, float]] | None = None,
    *,
    all_methods: bool = False,
) -> dict[str, Any]:
    """The payload of `analysis` in the format described above.

    `selection` says what is shown first; `video` is what `predict_video` says of the video that the clip is from;
    `all_methods` puts the class evidence by every quick method in, for a viewer that can ask nobody for it.
    """
    clip, info = analysis.clip, analysis.info
    return {
        "format": FORMAT,
        "clip": clip_facts(clip)
        | {
            "duration": finite(clip.source.duration),
            "frames": clip.num_frames,
            "first_time": finite(clip.timestamps[0]),
            "last_time": finite(clip.timestamps[-1]),
        },
        "model": model_facts(info) | {"classes": list(info.labels) if info.is_trained else []},
        "predictions": public_predictions(info, analysis.predictions, SHOWN_PREDICTIONS),
        "video": public_predictions(info, video, SHOWN_PREDICTIONS),
        "frames": _frames(analysis),
        "thumbnails": _thumbnails(analysis),
        "motion": _motion(analysis),
        "layers": [_layer(analysis, name) for name in analysis.layers],
        "methods": [
            {
                "name": name,
                "title": METHOD_TITLES[name],
                "words": METHOD_WORDS[name],
                "stage": analysis.evidence_stage(None, name),
            }
            for name in METHODS
        ],
        "stages": list(analysis.model.stage_outputs()),
        "evidence": _evidence(analysis, selection, all_methods),
        "start": {
            "layer": selection.layer,
            "levels": selection.levels,
            "query": list(selection.query),
            "paper": selection.paper,
        },
    }


def evidence_map(
    analysis: Analysis, stage: str | None, target: Target, method: str | None, against: Target = None
) -> dict[str, Any]:
    """One picture of class evidence, see `Analysis.class_evidence`: method and stage by name, target and against
    (or null) as {index, label}, rows, columns, and cells [T, rows, columns], 0..1 over the clip. Raises QueryError."""
    asked = analysis.select(None, None, None, target, against=against, method=method, evidence_layer=stage)
    cells = analysis.evidence_cells(asked.stage, asked.target, asked.method, asked.against)
    rows, columns = cells.shape[1:]
    return {
        "method": asked.method,
        "stage": asked.stage,
        "target": _class(analysis, asked.target),
        "against": None if asked.against is None else _class(analysis, asked.against),
        "rows": rows,
        "columns": columns,
        "cells": encode_float16(cells),
    }


def light_payload(payload: dict[str, Any], largest: int = LARGEST) -> dict[str, Any]:
    """The payload, without the arrays of the layers that are not shown first if it has more than `largest` bytes."""
    if _text_bytes(payload) <= largest:
        return payload
    names = [layer["name"] for layer in payload["layers"]]
    shown = names.index(payload["start"]["layer"])
    needed = (shown - 1, shown) if payload["layers"][shown]["max_levels"] > 1 else (shown,)
    held_back = dict.fromkeys(ARRAYS)
    layers = [layer if place in needed else layer | held_back for place, layer in enumerate(payload["layers"])]
    return payload | {"layers": layers}


def layer_arrays(payload: dict[str, Any], name: str) -> dict[str, str]:
    """The arrays of one layer of a payload, for a viewer from which they were held back. Raises QueryError."""
    for layer in payload["layers"]:
        if layer["name"] == name:
            return {key: layer[key] for key in ARRAYS}
    raise QueryError(f"There is no layer {name!r} in this analysis.")


def encode_float16(values: ArrayLike) -> str:
    """Base64 of little-endian float16. NaN becomes 0; what float16 cannot hold becomes its largest number."""
    largest = float(np.finfo(np.float16).max)
    finite = np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=largest, neginf=-largest)
    return base64.b64encode(np.clip(finite, -largest, largest).astype("<f2").tobytes()).decode("ascii")


def encode_jpeg(picture: NDArray[np.uint8], short_side: int, quality: int) -> str:
    """Base64 JPEG of an RGB picture [H, W, 3], reduced if its short side is longer than `short_side`."""
    height, width = picture.shape[:2]
    scale = min(1.0, short_side / min(height, width))
    if scale < 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def _frames(analysis: Analysis) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "time": finite(analysis.clip.timestamps[index]),
            "picture": encode_jpeg(analysis.clip.frames[index], PICTURE_SIDE, PICTURE_QUALITY),
        }
        for index in analysis.frame_index
    ]


def _thumbnails(analysis: Analysis) -> list[dict[str, Any]]:
    frames = analysis.clip.frames
    if len(frames) > MOST_THUMBNAILS:
        chosen = list(enumerate(analysis.frame_index))
    else:
        stride = analysis.model.temporal_stride
        chosen = [(min(index // stride, analysis.num_frames - 1), index) for index in range(len(frames))]
    return [
        {"t": t, "index": index, "picture": encode_jpeg(frames[index], THUMBNAIL_SIDE, THUMBNAIL_QUALITY)}
        for t, index in chosen
    ]


def _layer(analysis: Analysis, name: str) -> dict[str, Any]:
    trace, grid = analysis.traces[name], analysis.grid(name)
    statistics = analysis.offset_statistics(name).to_dict()
    return {
        "name": name,
        "stage": stage_of(name),
        "kernel_size": trace.kernel_size,
        "rows": grid.rows,
        "columns": grid.columns,
        "attended": len(trace.offset),
        "max_levels": analysis.max_levels(name),
        "offset": encode_float16(trace.offset),
        "weights": encode_float16(trace.weights),
        "saliency": encode_float16(trace.saliency),
        "boxes": _boxes(analysis, trace.saliency),
        "offset_source": OFFSET_SOURCES[trace.offset_source],
        "statistics": {key: np.round(np.nan_to_num(values), 5).tolist() for key, values in statistics.items()},
    }


def _motion(analysis: Analysis) -> dict[str, Any]:
    cells = analysis.motion_cells()
    pairs, rows, columns = cells.shape
    return {
        "rows": rows,
        "columns": columns,
        "pairs": pairs,
        "cells": encode_float16(cells),
        "boxes": _boxes(analysis, cells),
    }


def _boxes(analysis: Analysis, maps: NDArray[np.float32]) -> list[list[float] | None]:
    found = (salient_box(image, analysis.clip.height, analysis.clip.width) for image in maps)
    return [None if box is None else [round(side, 2) for side in box] for box in found]


def _evidence(analysis: Analysis, selection: Selection, all_methods: bool) -> list[dict[str, Any]]:
    wanted = [(selection.stage, selection.method), (analysis.evidence_stage(None, "grad_cam"), "grad_cam")]
    if all_methods:
        wanted += [(analysis.evidence_stage(None, name), name) for name in GRADIENT_METHODS]
    classes = selection.target, selection.against
    return [evidence_map(analysis, stage, classes[0], method, classes[1]) for stage, method in dict.fromkeys(wanted)]


def _class(analysis: Analysis, number: int) -> dict[str, Any]:
    return {"index": number, "label": analysis.info.labels[number]}


def _text_bytes(value: Any) -> int:
    """Bytes of all texts within a payload: its pictures and arrays, beside which the rest is small."""
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_text_bytes, parts))
