"""Runs the benchmark: drawn clips of moving objects, every map and every layer of each, and what it comes to.

Clips are those of motion15 from number FIRST on, which no accuracy was measured on and no default was chosen by.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sifa_core.data import Clip
from sifa_core.data.motion15 import LABELS, SPEED_BINS, MotionConfig, camera_drifts, label_of, render
from sifa_core.errors import ConfigError
from sifa_core.explain.analysis import Analysis
from sifa_core.explain.benchmark.estimate import Estimate, average, estimate, plain
from sifa_core.explain.studies.faithfulness import FRACTIONS, ORDERS, Faithfulness, faithfulness
from sifa_core.explain.studies.localisation import (
    FLOW_FIGURES,
    POINT_FIGURES,
    PlaceScores,
    Truth,
    default_evidence,
    score_displacements,
    score_maps,
    score_points,
)
from sifa_core.models import ModelInfo, VideoModel

FIRST = 3000
"""Number of the first clip; those before are the ones that `evaluate` takes for the accuracy."""
DRIFTING_FRACTION = 0.2
"""Clips with a drifting camera, on top, as a fraction of the others: in them everything moves."""
FAITHFULNESS_CLIPS = 200
OCCLUSION_CLIPS = 10
OCCLUSION_STAGE = -2
"""The stage that occlusion is asked of, by its place: one forward for every cell of every frame is its price."""
MOVING = [label for label in LABELS if label.startswith("object")]
"""Classes whose clips have something that moves before something that does not."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Which clips are measured."""

    clips: int = 500
    """Clips whose camera stays where it is; it may shake."""
    size: int | None = None
    """Height and width in pixels, both; None for the model's input size."""
    split: str = "test"
    """Of motion15. Choose by "val", report "test"."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ConfigError(f"clips={self.clips} is not possible; it is at least 1.")

    @property
    def drifting(self) -> int:
        """Clips with a drifting camera."""
        return round(DRIFTING_FRACTION * self.clips)


@dataclass(frozen=True)
class ClipRecord:
    """One clip's figures, as the studies `localisation` and `faithfulness` name them."""

    label: str
    speed: str
    """A name in SPEED_BINS."""
    motion: dict[str, PlaceScores]
    evidence: dict[str, PlaceScores]
    points: dict[str, dict[str, float]]
    displacement: dict[str, dict[str, float]]
    faithfulness: Faithfulness | None


@dataclass(frozen=True)
class ExplanationBenchmark:
    """What the benchmark found. Made by `run_benchmark`."""

    info: ModelInfo
    config: BenchmarkConfig
    size: int
    resting: list[ClipRecord]
    """Clips whose camera stays where it is: those that figures are of, unless something else is said."""
    drifting: list[ClipRecord]
    shown_evidence: str
    """Name of the map of class evidence that is shown first, and
    of the layer whose points are."""
    shown_layer: str

    @property
    def protocol(self) -> str:
        """One line: which clips."""
        frames = self.info.num_frames
        return (
            f"motion15 {self.config.split}, seed {self.config.seed}, from clip {FIRST} on: {len(self.resting)} clips "
            f"of moving objects, the camera not drifting, {self.size} x {self.size}, {frames} frames"
        )

    @cached_property
    def motion(self) -> dict[str, dict[str, Estimate]]:
        """Maps of what moves, by name: the fields of `PlaceScores`."""
        return summarise_maps([record.motion for record in self.resting])

    @cached_property
    def evidence(self) -> dict[str, dict[str, Estimate]]:
        """Maps of class evidence, by name."""
        return summarise_maps([record.evidence for record in self.resting])

    @cached_property
    def points(self) -> dict[str, dict[str, Estimate]]:
        """Sampling points by layer and levels: POINT_FIGURES."""
        rows = [record.points for record in self.resting]
        return {key: {name: estimate([row[key][name] for row in rows]) for name in POINT_FIGURES} for key in rows[0]}

    @cached_property
    def displacement(self) -> dict[str, dict[str, Estimate]]:
        """Attention-weighted displacement against the true flow, by layer: FLOW_FIGURES, over moving cells."""
        rows = [record.displacement for record in self.resting]
        found = {}
        for layer in rows[0]:
            cells = [row[layer]["cells"] for row in rows]
            found[layer] = {name: estimate([row[layer][name] for row in rows], cells) for name in FLOW_FIGURES}
        return found

    @cached_property
    def groups(self) -> dict[str, dict[str, list[ClipRecord]]]:
        """The clips by class and by speed, and those of a drifting camera."""
        return {
            "by_class": {label: [each for each in self.resting if each.label == label] for label in MOVING},
            "by_speed": {speed: [each for each in self.resting if each.speed == speed] for speed in SPEED_BINS[1:]},
            "by_camera": {"camera at rest": self.resting, "camera drifts": self.drifting},
        }

    @cached_property
    def verdicts(self) -> list[Faithfulness]:
        """Of the first clips, as many as were asked whether their picture can be believed."""
        return [record.faithfulness for record in self.resting if record.faithfulness is not None]

    def drop(self, order: str) -> Estimate:
        """Probability lost when the first tenth of the places is held still, by order."""
        return estimate([each.drop(order) for each in self.verdicts])

    def randomised(self) -> dict[str, Estimate]:
        """Rank correlation with the picture of random weights, by depth."""
        depths = self.verdicts[0].randomised
        return {depth: estimate([each.randomised[depth] for each in self.verdicts]) for depth in depths}

    def other_class(self) -> Estimate:
        """Rank correlation with the picture of the second class."""
        return estimate([each.other_class[1] for each in self.verdicts if each.other_class is not None])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        tables = {"motion": self.motion, "evidence": self.evidence, "points": self.points}
        tables["displacement"] = self.displacement
        return {
            "protocol": self.protocol,
            "model": {"name": self.info.name, "source": self.info.source, "sha256": self.info.sha256},
            "shown": {"motion": "motion", "evidence": self.shown_evidence, "layer": self.shown_layer},
            **{name: {key: _plain(row) for key, row in table.items()} for name, table in tables.items()},
            **{kind: {name: _group(group) for name, group in of.items()} for kind, of in self.groups.items()},
            "faithfulness": self._plain_faithfulness(),
        }

    def _plain_faithfulness(self) -> dict[str, Any]:
        mean = {
            kind: {
                order: [
                    plain(value) for value in np.mean([getattr(each, kind)[order] for each in self.verdicts], axis=0)
                ]
                for order in ORDERS
            }
            for kind in ("deletion", "insertion")
        }
        return {
            "clips": len(self.verdicts),
            "fractions": list(FRACTIONS),
            **mean,
            "drop": {order: self.drop(order).to_dict() for order in ORDERS},
            "randomised": _plain(self.randomised()),
            "other_class": self.other_class().to_dict(),
            "believed": estimate([float(each.faithful) for each in self.verdicts]).to_dict(),
        }


@dataclass(frozen=True)
class Job:
    """One clip to be measured."""

    index: int
    """Its number in the set."""
    is_drifting: bool
    with_faithfulness: bool
    with_occlusion: bool


def jobs(config: BenchmarkConfig, drawn: MotionConfig) -> list[Job]:
    """The first clips of moving objects from FIRST on, as many of each kind as `config` says, slowest first."""
    found: dict[bool, list[Job]] = {False: [], True: []}
    wanted = {False: config.clips, True: config.drifting}
    index = FIRST
    while any(len(found[kind]) < wanted[kind] for kind in found):
        if LABELS[label_of(config.seed, config.split, index)] in MOVING:
            kind = camera_drifts(config.seed, config.split, index, drawn)
            number = len(found[kind])
            if number < wanted[kind]:
                asked = not kind and number < FAITHFULNESS_CLIPS, not kind and number < OCCLUSION_CLIPS
                found[kind].append(Job(index, kind, *asked))
        index += 1
    return [*found[False], *found[True]]


def run_benchmark(
    model: VideoModel,
    config: BenchmarkConfig | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ExplanationBenchmark:
    """Measure the explanations of a model with SIFA layers.

    A clip takes about half a second of one thread with the demo model, two more for those asked for faithfulness.
    `workers` processes, one thread each, share the clips; with 1 this process measures them. `progress` is called with
    (done, all) after every clip. Raises ModelError if the model has no SIFA layer, ConfigError for a size that clips
    are not drawn at.
    """
    config = config or BenchmarkConfig()
    size = config.size or model.info.input_size
    drawn = MotionConfig(model.info.num_frames, size, size)
    info = model.info
    model.info = dataclasses.replace(info, input_size=size)
    try:
        plain_clip = Clip.from_array(np.zeros((drawn.num_frames, size, size, 3), np.uint8))
        analysis = Analysis.of(model, plain_clip)
        names = default_evidence(analysis), analysis.clear_layer
        todo = jobs(config, drawn)
        records = []
        with _measured(model, config, drawn, todo, workers) as found:
            for record in found:
                records.append(record)
                if progress is not None:
                    progress(len(records), len(todo))
    finally:
        model.info = info
    resting, drifting = records[: config.clips], records[config.clips :]
    return ExplanationBenchmark(info, config, size, resting, drifting, *names)


@contextmanager
def _measured(
    model: VideoModel, config: BenchmarkConfig, drawn: MotionConfig, todo: Sequence[Job], workers: int
) -> Iterator[Iterator[ClipRecord]]:
    """The records of `todo`, in its order, as they come."""
    if workers == 1:
        yield (measure(model, config, drawn, job) for job in todo)
        return
    context = multiprocessing.get_context("spawn")  # a forked process cannot use the threads that torch has started
    with ProcessPoolExecutor(workers, context, _start_worker, (model, config, drawn)) as pool:
        try:
            yield pool.map(_measure_in_worker, todo)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_worker: tuple[VideoModel, BenchmarkConfig, MotionConfig]
"""What a worker process measures with."""


def _start_worker(model: VideoModel, config: BenchmarkConfig, drawn: MotionConfig) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = model, config, drawn


def _measure_in_worker(job: Job) -> ClipRecord:
    return measure(*_worker, job)


def measure(model: VideoModel, config: BenchmarkConfig, drawn: MotionConfig, job: Job) -> ClipRecord:
    """Draw one clip and take all its figures."""
    sample = render(config.seed, config.split, job.index, drawn, truth=True)
    assert sample.moving is not None
    assert sample.flow is not None
    analysis = Analysis.of(model, Clip.from_array(sample.frames))
    stage = list(model.stage_outputs())[OCCLUSION_STAGE:][0]
    extra = [("occlusion", stage)] if job.with_occlusion else []
    motion, evidence = score_maps(analysis, sample.moving, seed=job.index, extra=extra)
    return ClipRecord(
        LABELS[sample.label],
        SPEED_BINS[sample.speed_bin],
        motion,
        evidence,
        score_points(analysis, sample.moving),
        score_displacements(analysis, Truth(sample.moving, sample.flow)),
        faithfulness(analysis, seed=job.index) if job.with_faithfulness else None,
    )


def summarise_maps(rows: Sequence[dict[str, PlaceScores]]) -> dict[str, dict[str, Estimate]]:
    """Estimates over clips of each field of `PlaceScores`, by the map's name."""
    names = dict.fromkeys(name for row in rows for name in row)
    fields = [field.name for field in dataclasses.fields(PlaceScores)]
    return {
        name: {field: estimate([getattr(row[name], field) for row in rows if name in row]) for field in fields}
        for name in names
    }


def _plain(row: dict[str, Estimate]) -> dict[str, Any]:
    return {name: value.to_dict() for name, value in row.items()}


def average_score(records: Sequence[ClipRecord], kind: str, name: str, field: str) -> float:
    """The mean over clips of a field of `PlaceScores`; `kind` is "motion" or "evidence", `name` the map's."""
    tables = [getattr(record, kind) for record in records]
    return average([getattr(table[name], field) for table in tables if name in table])


def _group(records: Sequence[ClipRecord]) -> dict[str, Any]:
    """Means of the main figures, without intervals."""
    found: dict[str, Any] = {"clips": len(records)}
    for kind in ("motion", "evidence"):
        names = dict.fromkeys(name for record in records for name in getattr(record, kind))
        found[kind] = {
            name: {field: plain(average_score(records, kind, name, field)) for field in ("auc", "peak")}
            for name in names
        }
    points = dict.fromkeys(name for record in records for name in record.points)
    found["strongest"] = {
        name: plain(average([record.points[name]["strongest"] for record in records])) for name in points
    }
    return found
