"""Writing a `TracedNetwork` as ONNX, with everything that a program in another language needs to draw its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from sifa_core.errors import ExportError, ModelError
from sifa_core.explain.analysis import CLEAR_CELLS, stage_of
from sifa_core.explain.class_evidence import BETWEEN, GRADIENT_METHODS, METHOD_TITLES, METHOD_WORDS, SMOOTH, path_frames
from sifa_core.explain.geometry import feature_frames
from sifa_core.explain.trace import OFFSET_SOURCES
from sifa_core.explain.traced.float16 import halve_weights
from sifa_core.explain.traced.network import PATH, TracedNetwork
from sifa_core.models import VideoModel
from sifa_core.models.standalone import ONNX_PACKAGES, description, exporting, need, portable, to_onnx, write_onnx

FORMAT = "sifa-traced/1"
EXAMPLE = (3, 5)
"""Height and width of the example that a network is traced with, in its strides: not equal, and not 1."""


def export_traced(
    model: VideoModel, path: str | Path, *, frames: int | None = None, size: tuple[int, int] | None = None
) -> Path:
    """Write the model and its traces; docs/traced.md says what goes in and comes out.

    Large weights are float16. Clips are free in number, and, without a `size`, in height and width, both multiples of
    the model's stride.

    Args:
        model: any model with SIFA layers; it is left as it is.
        path: ends in .onnx.
        frames: input frames of a clip; as the model is trained by default.
        size: the one height and width that the file takes, for networks that cannot be traced with free ones.

    Raises:
        ModelError: the model has no SIFA layer.
        ExportError: another ending, a package that is missing, a place that cannot be written to, or a size or number
            of frames that the model or the exporters cannot deal with.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ExportError(f"{path.name} cannot be written: a traced model is an .onnx file.")
    if not model.sifa_layers():
        raise ModelError(f"{model.info.name} was built without SIFA layers, so there is nothing to trace.")
    if size is None and not model.takes_any_size:
        raise ExportError(f"{model.info.name} cannot be traced for all sizes at once: give the size of its clips.")
    need(*ONNX_PACKAGES)
    length = frames or model.info.num_frames
    shown = feature_frames(length, model.temporal_stride)
    if len(shown) == 1 and any(layer.last_frame == "skip" for layer in model.sifa_layers().values()):
        raise ExportError(f"{length} frames are one feature frame, which attends to nothing in {model.info.name}.")
    step = model.spatial_stride
    height, width = size or (EXAMPLE[0] * step, EXAMPLE[1] * step)
    free: dict[int, Any] = {0: Dim("clips")}
    if size is None:
        free |= {3: step * Dim("rows", min=1), 4: step * Dim("columns", min=1)}
    network = TracedNetwork(portable(model), len(shown)).eval()
    clips = torch.zeros(len(PATH), 3, length, height, width)
    with exporting(model, path) as draft, torch.no_grad():
        program = torch.export.export(network, (clips,), dynamic_shapes=(free,), strict=False)
        content = to_onnx(program, network.names)
        halve_weights(content)
        write_onnx(content, draft, description(model) | {"traced": traced_description(model, length, size)})
    return path


def traced_description(model: VideoModel, frames: int, size: tuple[int, int] | None) -> dict[str, Any]:
    """What a traced file says beside `standalone.description`, for clips of `frames` frames; see docs/traced.md."""
    shown, stages = feature_frames(frames, model.temporal_stride), list(model.stage_outputs())
    layers = model.sifa_layers()
    names = list(layers)
    has_head = model.head_weight() is not None
    return {
        "format": FORMAT,
        "model": {"name": model.info.name, "status": model.info.status, "source": model.info.source},
        "frames": frames,
        "feature_frames": shown,
        "short_side": model.info.input_size,
        "multiple": model.spatial_stride,
        "size": None if size is None else list(size),
        "path": dict(zip(PATH, (*path_frames(frames, shown), list(range(frames))), strict=True)),
        "layers": [
            {
                "name": name,
                "stage": stage_of(name),
                "kernel_size": layer.kernel_size,
                "attended": len(shown) - (layer.last_frame == "skip"),
                "max_levels": 1 if place == 0 or stage_of(names[place - 1]) != stage_of(name) else 2,
                "offset_source": OFFSET_SOURCES[layer.offset.source_name],
            }
            for place, (name, layer) in enumerate(layers.items())
        ],
        "clear_cells": CLEAR_CELLS,
        "stages": stages,
        "evidence": {
            "stage": stages[-1] if has_head else None,
            "methods": _methods() if has_head else [],
            "between": BETWEEN,
            "smooth": SMOOTH,
            "missing": _missing(stages, has_head),
        },
    }


def _methods() -> list[dict[str, str]]:
    return [{"name": name, "title": METHOD_TITLES[name], "words": METHOD_WORDS[name]} for name in GRADIENT_METHODS]


def _missing(stages: list[str], has_head: bool) -> str:
    """Which class evidence cannot be read from the answers, in a sentence."""
    *others, last = stages
    if has_head:
        where = f"at {', '.join(others)}"
        return f"Class evidence {where} needs gradients, and occlusion many more runs: both need the model itself."
    return (
        f"Class evidence needs the model itself: between {last} and the classes stands more than a mean and a product."
    )
