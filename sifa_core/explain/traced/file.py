"""Running a traced file in onnxruntime, and holding its answers against the model's.

Legend: B clips, T feature frames, A attended frames, C channels, H x W pixels, h x w cells of a map.
"""

from __future__ import annotations

import copy
import importlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sifa_core.errors import ExportError
from sifa_core.explain.analysis import stage_of
from sifa_core.explain.class_evidence import GRADIENT_METHODS, Maps, StageGradients, motion_path, stage_gradients
from sifa_core.explain.geometry import feature_frames
from sifa_core.explain.maps import normalise
from sifa_core.explain.motion import all_motion
from sifa_core.explain.trace import LayerTrace, Trace
from sifa_core.explain.traced.export import EXAMPLE, FORMAT
from sifa_core.explain.traced.network import LAYER_MAPS, PATH
from sifa_core.models import VideoModel
from sifa_core.models.standalone import INPUT, need

Answers = dict[str, NDArray[np.float32]]
"""The outputs of a traced file by name."""

BOUNDS = {"probabilities": 0.002, "points": 0.05, "weights": 0.02, "motion": 0.02, "saliency": 0.02, "evidence": 0.02}
"""Differences that nobody sees, by the fields of `Differences`."""


@dataclass(frozen=True)
class Explained:
    """What a traced file, or the model itself, says of one clip."""

    logits: NDArray[np.float32]
    """[classes]."""
    motion: Maps
    """[A, h, w], as `Analysis.motion_cells()`."""
    traces: dict[str, LayerTrace]
    evidence: dict[str, Maps]
    """Method -> [T, h, w] at the last stage for the class predicted, not scaled; empty where it cannot be had."""


class TracedFile:
    """An ONNX file of `export_traced`, loaded into onnxruntime.

    Raises ExportError if onnxruntime is missing, or the file cannot be read or is none of those.
    """

    def __init__(self, path: str | Path) -> None:
        need("onnxruntime")
        path = Path(path)
        try:
            self._session = importlib.import_module("onnxruntime").InferenceSession(
                path, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # a file that is broken or not there: onnxruntime has a type for each
            raise ExportError(f"{path.name} is not an ONNX file that can be read.") from error
        metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if "traced" not in metadata:
            raise ExportError(f"{path.name} has no traces; sifa export --traced writes them.")
        self.facts: dict[str, Any] = {key: json.loads(value) for key, value in metadata.items()}
        self.traced: dict[str, Any] = self.facts["traced"]
        if self.traced["format"] != FORMAT:
            raise ExportError(f"{path.name} has traces in the format {self.traced['format']!r}, not {FORMAT!r}.")

    def path_of(self, video: Tensor) -> Tensor:
        """The clips that the file is meant to be given for `video` [1, 3, N, H, W]: PATH, [3, 3, N, H, W]."""
        return torch.cat([video[:, :, self.traced["path"][name]] for name in PATH])

    def run(self, clips: Tensor) -> Answers:
        """All outputs for `clips` [B, 3, N, H, W], normalised, the one that is explained last."""
        names = [output.name for output in self._session.get_outputs()]
        values = self._session.run(names, {INPUT: np.ascontiguousarray(clips.numpy())})
        return dict(zip(names, values, strict=True))

    def explain(self, video: Tensor) -> Explained:
        """What the file says of `video` [1, 3, N, H, W], normalised."""
        return self.read(self.run(self.path_of(video)))

    def read(self, answers: Answers) -> Explained:
        """What the outputs for the clips of `path_of` say."""
        traces = {}
        for layer in self.traced["layers"]:
            maps: dict[str, Any] = {key: answers[f"{layer['name']}.{key}"] for key in LAYER_MAPS}
            traces[layer["name"]] = LayerTrace(layer["kernel_size"], **maps)
        logits = answers["logits"][-1]
        evidence = self._evidence(answers, int(logits.argmax())) if "head" in answers else {}
        return Explained(logits, answers["motion"], traces, evidence)

    def _evidence(self, answers: Answers, target: int) -> dict[str, Maps]:
        """The gradient at the last stage is the class's row of the head, over the places of a clip."""
        features = answers["features"]
        frozen, held, clip = features
        path = np.stack([frozen, held, (held + clip) / 2, clip])  # only its ends and the held clip count
        places = features.shape[1] * features.shape[3] * features.shape[4]
        gradient = answers["head"][target] / places
        at = StageGradients(path, np.broadcast_to(gradient[:, None, None], path.shape))
        return {method: read(at) for method, read in GRADIENT_METHODS.items()}


def explain_with_model(model: VideoModel, video: Tensor) -> Explained:
    """The same of the model itself, in PyTorch, on the CPU; `video` is [1, 3, N, H, W], normalised."""
    reference = copy.deepcopy(model).cpu().eval()
    with torch.no_grad(), Trace(reference) as trace:
        logits = reference(video)[0]
    path = motion_path(video, feature_frames(video.shape[2], model.temporal_stride))
    stages = list(stage_gradients(reference, path, int(logits.argmax())).values())
    last_of_stage = {stage_of(name): layer.motion for name, layer in trace.layers.items()}
    evidence = (
        {} if model.head_weight() is None else {name: read(stages[-1]) for name, read in GRADIENT_METHODS.items()}
    )
    return Explained(logits.numpy(), all_motion(list(last_of_stage.values()), stages), trace.layers, evidence)


@dataclass(frozen=True)
class Differences:
    """The largest differences between two explanations of one clip."""

    logits: float
    probabilities: float
    points: float
    """Of sampling points, in cells of their layer."""
    weights: float
    """Of attention weights, over the largest of the layer."""
    motion: float
    """Of what moves, each frame's map scaled to 0..1."""
    saliency: float
    """Of the maps of Eq. 5 and their motion parts, over the largest value of the layer."""
    evidence: float
    """Of class evidence at the last stage, scaled to 0..1 over the clip."""

    @property
    def visible(self) -> dict[str, float]:
        """Those beyond BOUNDS."""
        return {name: value for name, value in asdict(self).items() if value > BOUNDS.get(name, np.inf)}


def differences(one: Explained, other: Explained) -> Differences:
    """How far two explanations of one clip by one model are apart."""
    pairs = [(one.traces[name], other.traces[name]) for name in other.traces]

    def largest(*fields: str) -> float:
        return max(_relative(getattr(a, field), getattr(b, field)) for a, b in pairs for field in fields)

    return Differences(
        logits=_apart(one.logits, other.logits),
        probabilities=_apart(*(torch.from_numpy(each.logits).softmax(0).numpy() for each in (one, other))),
        points=max(_apart(a.offset, b.offset) for a, b in pairs),
        weights=largest("weights"),
        motion=_apart(normalise(one.motion, "frame"), normalise(other.motion, "frame")),
        saliency=largest("saliency", "motion", "difference"),
        evidence=max((_relative(one.evidence[name], maps) for name, maps in other.evidence.items()), default=0.0),
    )


def check_traced(path: str | Path, model: VideoModel, seed: int = 0) -> Differences:
    """Run a written file on a random clip; how far its answers are from the model's.

    Raises ExportError as `TracedFile` does.
    """
    file = TracedFile(path)
    side = file.traced["multiple"]
    size = file.traced["size"] or [side * count for count in reversed(EXAMPLE)]  # another one than it was traced with
    video = torch.randn(1, 3, file.traced["frames"], *size, generator=torch.Generator().manual_seed(seed))
    return differences(file.explain(video), explain_with_model(model, video))


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max())


def _relative(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The largest difference over the largest value of `other`."""
    return _apart(one, other) / max(float(np.abs(other).max()), 1e-12)
