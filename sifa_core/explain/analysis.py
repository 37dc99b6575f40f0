"""One forward of one clip, and every explanation that can be read from it.

Legend: T feature frames, K taps, H x W pixels of the clip as shown, h x w cells of a layer's map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sifa_core.data import Clip
from sifa_core.errors import ModelError, QueryError
from sifa_core.explain.class_evidence import (
    DEFAULT_METHOD,
    GRADIENT_METHODS,
    HELD,
    Maps,
    best_stage,
    check_method,
    motion_path,
    occlusion,
    stage_gradients,
)
from sifa_core.explain.geometry import FeatureGrid, FloatArray, feature_frames
from sifa_core.explain.maps import check_scope, enlarge, normalise
from sifa_core.explain.motion import all_motion
from sifa_core.explain.optical_flow import FlowAgreement, agreement, contrast, estimated_flow, frame_motion, given_flow
from sifa_core.explain.points import Query, SamplingPoints, compose_points
from sifa_core.explain.statistics import OffsetStatistics, magnitude_histogram, offset_statistics
from sifa_core.explain.trace import LayerTrace, Trace
from sifa_core.inference import Predictions, check_finite, prepare, rank
from sifa_core.models import ModelInfo, VideoModel

Target = int | str | None
"""A class by number or label; None means the one predicted."""

CLEAR_CELLS = 220
"""Cells of a map that are fine enough to be shown first: 20 x 11 on a picture of 16:9."""

STILL = 0.05
"""Cells; a frame in which nothing moves as far as that, from one feature frame to the next, has nothing that moves."""


def stage_of(layer: str) -> str:
    """The stage of a layer: "res5" for "res5.2"."""
    return layer.split(".")[0]


@dataclass(frozen=True)
class Selection:
    """What a figure or file is about, with every default filled in and checked. Made by `Analysis.select`."""

    query: Query
    layer: str
    levels: int
    target: int
    """Class number whose evidence is shown."""
    against: int | None
    """Class number that the evidence is against, if any."""
    method: str
    """How the evidence is found, a key of `class_evidence.METHODS`."""
    stage: str
    """The stage whose feature map the evidence is read at."""
    paper: bool
    """Whether figures show the paper's own maps: Eq. 5 and Grad-CAM."""


class Analysis:
    """What a model made of a clip: data and queries. All methods are cheap or cached, and raise QueryError for layers,
    frames or points that do not exist. Where a method takes a layer, None means `clear_layer`.

    `sifa_core.analyze` makes one that has the studies and files as methods, too: `Explanation`."""

    def __init__(
        self, model: VideoModel, clip: Clip, video: Tensor, logits: Tensor, traces: dict[str, LayerTrace]
    ) -> None:
        self.model = model
        self.clip = clip
        self.info: ModelInfo = model.info
        self.video = video
        """The clip as the model took it, [1, 3, T, H, W]."""
        self.logits = logits
        self.traces = traces
        self._evidence: dict[tuple[int, int | None], dict[tuple[str, str], Maps]] = {}
        self._motion: Maps | None = None
        self._statistics: dict[str, OffsetStatistics] = {}
        self._agreements: dict[str, FlowAgreement] = {}
        self._default_queries: dict[str, Query] = {}

    @classmethod
    def of(cls, model: VideoModel, clip: Clip, progress: Callable[[str], None] | None = None) -> Self:
        """Run `model` once on the clip; see `sifa_core.analyze`. Raises ModelError if it has no SIFA layer."""
        tell = progress or (lambda step: None)
        if not model.sifa_layers():
            raise ModelError(f"{model.info.name} was built without SIFA layers, so there is nothing to explain.")
        tell("Preparing the frames")
        video = prepare(model, clip)
        tell("Running the model")
        return cls._run(model, clip, video)

    @classmethod
    def _run(cls, model: VideoModel, clip: Clip, video: Tensor) -> Self:
        model.eval()
        with torch.no_grad(), Trace(model) as trace:
            logits = model(video)
        return cls(model, clip, video, logits[0].float().cpu(), trace.layers)

    def again(self) -> Self:
        """The same clip once more, for a model that something was switched off in meanwhile."""
        return self._run(self.model, self.clip, self.video)

    def on(self, clip: Clip) -> Self:
        """The same model on another clip."""
        return self.of(self.model, clip)

    @property
    def layers(self) -> list[str]:
        """Names of the SIFA layers in the order of the forward, e.g. "res5.2"."""
        return list(self.traces)

    @cached_property
    def frame_index(self) -> list[int]:
        """For every feature frame t, the frame of the clip that stands for it: the middle one of those it merges."""
        return feature_frames(self.clip.num_frames, self.model.temporal_stride)

    @property
    def num_frames(self) -> int:
        """T, the number of feature frames."""
        return len(self.frame_index)

    def frame(self, t: int) -> NDArray[np.uint8]:
        """The picture [H, W, 3] that stands for feature frame t."""
        return self.clip.frames[self.frame_index[self.check_frame(t)]]

    @cached_property
    def predictions(self) -> Predictions:
        """(label, probability), most probable first. Meaningless if `info.is_trained` is false.

        Raises NotFiniteError if the network's answer is no number.
        """
        probabilities = self.logits.softmax(0)
        check_finite(probabilities, self.info, self.clip)
        return rank(probabilities, self.info.labels)

    def sampling_points(self, query: Query, layer: str | None = None, levels: int = 1) -> SamplingPoints:
        """Where `query` = (t, x, y) looks in the next frame, read bilinearly between cells of `layer`.

        levels=1 gives the layer's K points; levels=2 also expands each by the offsets of the SIFA layer before it in
        the same stage: K*K points, 81 for k = 3 (section 4.4). The last frame looks at itself.
        """
        layer = self.check_layer(layer)
        t, x, y = self.check_query(query)
        if levels not in (1, 2):
            raise QueryError(f"levels={levels!r} is not possible; it is 1 or 2.")
        trace = self.traces[layer]
        if t >= len(trace.offset):
            raise QueryError(f"Frame {t} is the last one, which this model does not let attend to anything.")
        earlier = self._layer_before(layer) if levels == 2 else None
        following = min(t + 1, self.num_frames - 1)
        return compose_points(trace, earlier, self.grid(layer), (t, x, y), following)

    def max_levels(self, layer: str) -> int:
        """2 if a SIFA layer comes before `layer` in its stage, else 1."""
        layer = self.check_layer(layer)
        return 1 if next(name for name in self.layers if stage_of(name) == stage_of(layer)) == layer else 2

    def _layer_before(self, layer: str) -> LayerTrace:
        if self.max_levels(layer) == 1:
            raise QueryError(f"{layer} is the first SIFA layer of its stage, so it has one level of sampling only.")
        return self.traces[self.layers[self.layers.index(layer) - 1]]

    def motion(self, layer: str | None = None, t: int = 0, scope: str = "frame") -> NDArray[np.float32]:
        """What moves from frame t to t + 1 as the network sees it, [H, W], 0..1, scaled as `motion_saliency` is.

        With a layer, the motion part of its Eq. 5, |(sigmoid(D) - 1/2) f[t+1]|. None takes all stages together and
        what motion within a feature frame changes: the best on clips whose truth is known.
        """
        return self._picture(self.motion_cells(layer), t, scope)

    def motion_cells(self, layer: str | None = None) -> NDArray[np.float32]:
        """`motion` of all pairs at the map's own resolution, [A, h, w], not scaled."""
        if layer is not None:
            return self.traces[self.check_layer(layer)].motion
        if self._motion is None:
            self._read_path(self.target_index(None), None)
        assert self._motion is not None
        return self._motion

    def motion_saliency(self, layer: str | None = None, t: int = 0, scope: str = "frame") -> NDArray[np.float32]:
        """Motion saliency map (Eq. 5) of the pair (t, t+1): channel mean of its absolute value, [H, W], 0..1.

        Scaled over the frame, or over the clip with scope="clip" (then frames can be compared). Half of every feature
        is in it even where nothing moves, so it is mostly appearance; see `motion`.
        """
        return self._picture(self.traces[self.check_layer(layer)].saliency, t, scope)

    def _picture(self, maps: Maps, t: int, scope: str) -> NDArray[np.float32]:
        """The map [H, W] of the pair that frame t is the first of; the last one for a last frame that has none."""
        image = normalise(maps, check_scope(scope))[min(self.check_frame(t), len(maps) - 1)]
        return enlarge(image, self.clip.height, self.clip.width)

    def class_evidence(
        self, layer: str | None = None, target: Target = None, method: str | None = None, against: Target = None
    ) -> NDArray[np.float32]:
        """Which places speak for a class, [T, H, W], 0..1 over the clip.

        Args:
            layer: a SIFA layer, whose stage's last feature map is read, or a stage; None takes the one that measures
                best for the method: the first stage for integrated gradients, the last (as in the paper) for Grad-CAM.
            target: class number or label; None takes the one predicted.
            method: a key of `class_evidence.METHODS`; None takes integrated gradients, the best by measurement.
            against: another class: then the evidence is for `target` rather than for it.

        Raises QueryError for an unknown layer, class or method.
        """
        maps = self.evidence_cells(layer, target, method, against)
        return np.stack([enlarge(image, self.clip.height, self.clip.width) for image in maps])

    def evidence_cells(
        self, layer: str | None = None, target: Target = None, method: str | None = None, against: Target = None
    ) -> NDArray[np.float32]:
        """`class_evidence` at the feature map's own resolution, [T, h, w]."""
        method = check_method(DEFAULT_METHOD if method is None else method)
        stage = self.evidence_stage(layer, method)
        classes = self._evidence_classes(target, against)
        if classes not in self._evidence:
            self._read_path(*classes)
        found = self._evidence[classes]
        if (method, stage) not in found:  # occlusion, the slow one, is read only where it is asked for
            held = motion_path(self.video, self.frame_index)[HELD : HELD + 1]
            frames, *cells = found["grad_cam", stage].shape
            found[method, stage] = occlusion(
                self.model, self.video, held, *classes, feature_frames=frames, cells=(cells[0], cells[1])
            )
        maps = found[method, stage]
        return maps / max(float(maps.max()), 1e-12)

    def _evidence_classes(self, target: Target, against: Target) -> tuple[int, int | None]:
        classes = self.target_index(target), None if against is None else self.target_index(against)
        if classes[0] == classes[1]:
            raise QueryError("A class has no evidence against itself; choose two different classes.")
        return classes

    def evidence_stage(self, layer: str | None, method: str) -> str:
        """The stage whose feature map `class_evidence` reads; see there. Raises QueryError for an unknown layer."""
        stages = list(self.model.stage_outputs())
        if layer is None:
            return best_stage(method, stages)
        return layer if layer in stages else stage_of(self.check_layer(layer))

    def _read_path(self, target: int, against: int | None) -> None:
        """One forward and backward of the motion path. Maps stay, features and gradients do not: they are large."""
        stages = stage_gradients(self.model, motion_path(self.video, self.frame_index), target, against)
        if self._motion is None:
            last_of_stage = {stage_of(name): trace.motion for name, trace in self.traces.items()}
            self._motion = all_motion(list(last_of_stage.values()), list(stages.values()))
        self._evidence[target, against] = {
            (method, stage): read(at) for method, read in GRADIENT_METHODS.items() for stage, at in stages.items()
        }

    def grad_cam(self, layer: str | None = None, target: Target = None) -> NDArray[np.float32]:
        """Grad-CAM on the last feature map of the layer's stage, [T, H, W], 0..1 over the clip.

        `target` is a class number or label; None takes the class predicted. None as layer takes the last stage, as the
        paper does (res5). Raises QueryError for an unknown class.
        """
        return self.class_evidence(layer, target, "grad_cam")

    def grad_cam_cells(self, layer: str | None = None, target: Target = None) -> NDArray[np.float32]:
        """`grad_cam` at the feature map's own resolution, [T, h, w]."""
        return self.evidence_cells(layer, target, "grad_cam")

    def offset_statistics(self, layer: str | None = None) -> OffsetStatistics:
        """Magnitude, direction, out-of-frame fraction and attention entropy of a layer, frame by frame."""
        layer = self.check_layer(layer)
        if layer not in self._statistics:
            self._statistics[layer] = offset_statistics(self.traces[layer], self.grid(layer))
        return self._statistics[layer]

    def offset_histogram(self, layer: str | None = None, t: int = 0, bins: int = 24) -> tuple[FloatArray, FloatArray]:
        """Fraction of the offsets of frame t in each bin of length, [bins], and the edges in cells, [bins + 1]."""
        trace = self.traces[self.check_layer(layer)]
        if self.check_frame(t) >= len(trace.offset):
            raise QueryError(f"Frame {t} is the last one, which this model does not let attend to anything.")
        return magnitude_histogram(trace, t, bins)

    def flow_agreement(self, layer: str | None = None, flow: FloatArray | None = None) -> FlowAgreement:
        """How well a layer's attention-weighted displacement agrees with the clip's motion, frame by frame.

        `flow` [N-1, H, W, 2] is the true flow in pixels from each frame of the clip to the next; without it OpenCV's
        DIS flow stands in. Raises QueryError for a flow of another shape.
        """
        layer = self.check_layer(layer)
        if flow is not None:
            [truth] = frame_motion(given_flow(flow, self.clip.frames), self.frame_index, [self.grid(layer)])
            return agreement(self.traces[layer], truth)
        if not self._agreements:  # the flow is what takes time, so it is estimated once for all layers
            grids = [self.grid(name) for name in self.layers]
            truths = frame_motion(estimated_flow(self.clip.frames), self.frame_index, grids)
            found = zip(self.traces.items(), truths, strict=True)
            self._agreements = {name: agreement(trace, truth) for (name, trace), truth in found}
        return self._agreements[layer]

    def select(
        self,
        query: Query | None = None,
        layer: str | None = None,
        levels: int | None = None,
        target: Target = None,
        *,
        against: Target = None,
        method: str | None = None,
        evidence_layer: str | None = None,
        paper: bool = False,
    ) -> Selection:
        """Check a choice and fill in what is left open: `clear_layer`, the place of the middle frame that moves most
        (the paper takes the centre frame, section 4.4), as many levels as the layer has, and the class evidence as
        `class_evidence` does; with `paper` the paper's own maps, Eq. 5 and Grad-CAM of the last stage."""
        layer = self.check_layer(layer)
        query = self.default_query(layer) if query is None else self.check_query(query)
        levels = self.max_levels(layer) if levels is None else levels
        self.sampling_points(query, layer, levels)
        classes = self._evidence_classes(target, against)
        method = check_method(("grad_cam" if paper else DEFAULT_METHOD) if method is None else method)
        stage = self.evidence_stage(evidence_layer, method)
        return Selection(query, layer, levels, *classes, method, stage, paper)

    def grid(self, layer: str) -> FeatureGrid:
        """How the layer's map lies over the clip's pixels."""
        rows, columns = self.traces[self.check_layer(layer)].saliency.shape[1:]
        return FeatureGrid(rows, columns, self.clip.height, self.clip.width)

    @property
    def clear_layer(self) -> str:
        """The last layer whose map has CLEAR_CELLS cells, so that its points lie on small things, too; the first layer
        if none has."""
        sizes = {name: self.traces[name].saliency[0].size for name in self.layers}
        return next((name for name in reversed(self.layers) if sizes[name] >= CLEAR_CELLS), self.layers[0])

    def default_query(self, layer: str | None = None) -> Query:
        """The centre of the cell that moves most in the middle frame (section 4.4 takes the centre frame): DIS optical
        flow times contrast, for the flow of a blank place says nothing. If nothing moves, of the most salient cell."""
        layer = self.check_layer(layer)
        if layer not in self._default_queries:
            grid, maps = self.grid(layer), self.traces[layer].saliency
            t = min((self.num_frames - 1) // 2, len(maps) - 1)
            score, pair = maps[t], self.frame_index[t : t + 2]
            for displacement, _ in frame_motion(estimated_flow(self.clip.frames), pair, [grid])[0]:
                distance = np.linalg.norm(displacement, axis=-1)
                score = distance * contrast(self.frame(t), grid) if distance.max() >= STILL else score
            row, column = np.unravel_index(score.argmax(), score.shape)
            x, y = grid.to_pixels(np.array([column, row], dtype=float))
            self._default_queries[layer] = t, float(x), float(y)
        return self._default_queries[layer]

    def check_layer(self, layer: str | None) -> str:
        """The layer itself, or `clear_layer` for None. Raises QueryError if there is no such layer."""
        if layer is None:
            return self.clear_layer
        if layer not in self.traces:
            raise QueryError(f"There is no SIFA layer {layer!r}; choose one of {', '.join(self.layers)}.")
        return layer

    def check_frame(self, t: int) -> int:
        """t as an int. Raises QueryError unless it is a feature frame."""
        if isinstance(t, bool) or int(t) != t or not 0 <= t < self.num_frames:
            raise QueryError(f"There is no feature frame {t}; they run from 0 to {self.num_frames - 1}.")
        return int(t)

    def check_query(self, query: Query) -> Query:
        """The query as (int, float, float). Raises QueryError if it is no such triple or outside the clip."""
        try:
            t, x, y = query
            x, y = float(x), float(y)
            t = self.check_frame(t)
        except (TypeError, ValueError, OverflowError) as error:
            raise QueryError(f"A query is (frame, x, y), three numbers, not {query!r}.") from error
        width, height = self.clip.width, self.clip.height
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise QueryError(f"The point ({x:g}, {y:g}) is outside the clip, which has {width} x {height} pixels.")
        return t, x, y

    def target_index(self, target: Target) -> int:
        """Class number of a label or number; None gives the predicted class. Raises QueryError for an unknown class."""
        labels: Sequence[str] = self.info.labels
        if target is None:
            return int(self.logits.argmax())
        if isinstance(target, str) and target in labels:
            return labels.index(target)
        if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(labels):
            return target
        raise QueryError(f"There is no class {target!r}; the model has {len(labels)} classes.")
