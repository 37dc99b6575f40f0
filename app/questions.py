"""What the page asks: opening a clip, and what there is to know of one. Named endpoints with JSON answers.

Each method of `Questions` is one of them. `token` names the clip, and is known to whoever has opened it only; `frame`
is a feature frame, x and y are pixels of the clip. Everything that is wrong is answered in one sentence.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from app import charts
from app.background import BackgroundWork
from app.downloads import pack
from app.examples import remark
from app.models import MAIN, REGULAR
from app.service import Service
from app.tabs.compare import prediction_rows
from app.tabs.learn import ablation_of, lesson_of
from app.tabs.offset_controls import cards_of
from app.tabs.offsets import findings_of, matrix_of
from app.whole_video import chosen_window, timeline_figure
from sifa_core import Analysis, Clip, paper
from sifa_core.errors import ClipError, QueryError
from sifa_core.explain.analysis import Selection
from sifa_core.explain.class_evidence import METHOD_WORDS
from sifa_core.explain.render.payload import light_payload
from sifa_core.explain.studies.equations import explain_equations
from sifa_core.explain.studies.faithfulness import Faithfulness

Answer = dict[str, Any]

COMPARED = (MAIN, REGULAR)
"""What is compared first: the model with and without its offsets."""


class Questions:
    """All of them, about the clips of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def open_example(self, example: str, start: int | None = None, stride: int | None = None) -> Iterator[Answer]:
        """One of the page's own clips: its token, what is to be said of it, and its payload for the viewer.

        Where it has to be analysed first, {step, done} says so. `start` and `stride` name another window of its video;
        where there is none, the one that was chosen for it is shown."""
        token = self._service.cached_example(example)
        if token is None:
            yield {"step": "Reading the clip and running the model", "done": 0.0}
            token = self._service.open_example(example)
        if start is not None and stride is not None:
            with contextlib.suppress(ClipError):
                token = self._service.window(token, int(start), int(stride))
        yield self._opened(token)

    def open_clip(self, clip: str) -> Iterator[Answer]:
        """The same of a visitor's own clip, an upload; only whoever has its token finds it again."""
        yield {"step": "Reading the clip", "done": 0.0}
        read = self._service.read(clip)
        yield {"step": "Running the model", "done": 0.5}
        yield self._opened(self._service.analyze_video(clip, read))

    def open_window(self, token: str, second: float, stride: float) -> Iterator[Answer]:
        """Another window of the video of a clip: where it starts, and one frame in how many it takes."""
        entry = self._service.entry(token)
        times = entry.analysis.clip.timestamps if entry.video is None else entry.video.course.timestamps
        chosen = chosen_window(times, second, stride)
        yield {"step": "Reading this moment and running the model", "done": 0.0}
        yield self._opened(self._service.window(token, *chosen))

    def whole_video(self, token: str) -> Iterator[Answer]:
        """How much moves in all of a clip's video, and what the model makes of it moment by moment: a Plotly figure.

        {step, done} tells how far it is."""
        work = BackgroundWork(lambda tell: self._service.timeline(token, lambda done: tell(done, "")))
        for done, _ in work:
            yield {"step": f"Looking at the whole video, {done:.0%} done", "done": done}
        yield _plotly(timeline_figure(self._service, self._service.analysis(token), work.result()))

    def _opened(self, token: str) -> Answer:
        """What the page shows of a clip, and what a link to it has to say: the example and, if it is not the one that
        was chosen for it, the window."""
        entry = self._service.entry(token)
        analysis, video = entry.analysis, entry.video
        clip, example = analysis.clip, video.example if video else ""
        window = int(clip.indices[0]), clip.source.stride
        other = video is not None and window != video.first
        return {
            "token": token,
            "example": example,
            "window": {"start": window[0], "stride": window[1]} if other else None,
            "moment": {"second": round(float(clip.timestamps[0]), 2), "stride": window[1]},
            "model": MAIN,
            "clip": clip_facts(clip) | {"remark": remark(example, analysis.info, analysis.predictions)},
            "analysis": light_payload(entry.payload),
        }

    def layer(self, token: str, model: str, layer: str) -> Answer:
        """The arrays of one SIFA layer as the payload would hold them: offset, weights and saliency, base64 float16.
        `model` is a key of `compare`."""
        return dict(self._service.layer_arrays(token, model, layer))

    def evidence(
        self,
        token: str,
        target: int | None = None,
        against: int | None = None,
        method: str | None = None,
        stage: str | None = None,
    ) -> Answer:
        """One picture of class evidence for a class, rather than for another one, by a method, read at a stage."""
        return self._service.evidence_map(token, _evidence(target, against, method, stage))

    def charts(self, token: str, frame: int, x: float, y: float, layer: str, levels: int) -> Answer:
        """Plotly figures of a query by name; no predictions of an untrained model."""
        analysis = self._service.analysis(token)
        figures = charts.query_charts(analysis, analysis.select((frame, x, y), layer, levels))
        return {name: _plotly(figure) for name, figure in figures.items()}

    def faithfulness(
        self,
        token: str,
        target: int | None = None,
        against: int | None = None,
        method: str | None = None,
        stage: str | None = None,
    ) -> Iterator[Answer]:
        """Whether a picture of class evidence can be believed. It takes seconds: {step, done} tells how far it is, and
        the last answer has the verdict in words and the curves as Plotly figures."""
        asked = _evidence(target, against, method, stage)
        work = BackgroundWork(lambda tell: self._service.faithfulness(token, asked, tell))
        for done, step in work:
            yield {"step": step, "done": done}
        yield _verdict(self._service.analysis(token), work.result())

    def offsets(self, token: str) -> Answer:
        """What is to be said of a clip's offsets and attention, and a matrix of layers and frames."""

        def measure(analysis: Analysis) -> Answer:
            return {"findings": findings_of(analysis), "matrix": matrix_of(analysis)}

        found: Answer = self._service.get_or_compute(token, "offsets", measure)
        return found

    def distributions(self, token: str, layer: str, frame: int) -> Answer:
        """Lengths and directions of a layer's offsets in one frame, as Plotly figures."""
        analysis = self._service.analysis(token)
        return {
            "lengths": _plotly(charts.length_histogram(analysis, layer, frame)),
            "directions": _plotly(charts.direction_rose(analysis, layer, frame)),
        }

    def controls(self, token: str) -> Answer:
        """What the model makes of the clip without its motion, its direction or its order: one card each."""
        cards = self._service.get_or_compute(token, "controls", cards_of)
        return {"cards": cards, "trained": self._service.model.info.is_trained}

    def lesson(self, token: str, frame: int, x: float, y: float, layer: str, levels: int) -> Answer:
        """All numbers of the paper's equations at a query."""
        analysis = self._service.analysis(token)
        selection = analysis.select((frame, x, y), layer, levels)
        with self._service.model_lock:
            steps = explain_equations(analysis, selection.query, selection.layer)
        return lesson_of(analysis, selection, steps)

    def ablate(
        self, token: str, part: str, here: bool, frame: int, x: float, y: float, layer: str, levels: int
    ) -> Answer:
        """What changes at a query when a part of the model is switched off, in its layer alone (`here`) or in all."""
        analysis = self._service.analysis(token)
        selection = analysis.select((frame, x, y), layer, levels)
        with self._service.model_lock:
            return ablation_of(analysis, selection, part, here)

    def compare(self, token: str, one: str = "", other: str = "", known: list[str] | None = None) -> Answer:
        """What two models, by key, make of the clip: the payload of each that is not among the `known`, and the most
        probable classes of both. Without keys, the model with and without its offsets."""
        keys = tuple(key or default for key, default in zip((one, other), COMPARED, strict=True))
        views = [self._service.model_view(token, key) for key in keys]
        return {
            "models": [{"key": key, "title": title} for key, title in self._service.models.titles.items()],
            "sides": list(keys),
            "payloads": {
                key: light_payload(view.payload)
                for key, view in zip(keys, views, strict=True)
                if key not in (known or ())
            },
            "rows": prediction_rows(*(view.predictions for view in views)),
        }

    def costs(self, dataset: str) -> Answer:
        """The paper's accuracies against cost on a data set, a Plotly figure."""
        if dataset not in charts.DATASETS:
            raise QueryError(f"There is no data set {dataset!r}; choose one of: {', '.join(charts.DATASETS)}.")
        rows = paper.results(dataset)
        return _plotly(charts.cost_chart(rows, f"{charts.DATASETS[dataset]}, Table {rows[0].table} of the paper"))

    def export(
        self,
        token: str,
        kind: str,
        frame: int | None = None,
        x: float | None = None,
        y: float | None = None,
        layer: str | None = None,
        levels: int | None = None,
        target: int | None = None,
        against: int | None = None,
        method: str | None = None,
        stage: str | None = None,
        paper: bool = False,
    ) -> Answer:
        """A file of what is shown: {name, type, data in base64}. `kind` is png, svg, gif, mp4, html or json."""
        analysis = self._service.analysis(token)
        query = None if frame is None or x is None or y is None else (frame, x, y)
        with self._service.model_lock:
            selection = _selection(analysis, query, layer, levels, _evidence(target, against, method, stage), paper)
            return pack(analysis, selection, kind)


def clip_facts(clip: Clip) -> Answer:
    """What is being looked at: the name, and facts in a few words each."""
    source = clip.source
    step = "every frame" if source.stride == 1 else f"one frame in {source.stride}"
    return {
        "name": source.name,
        "facts": [
            f"{source.width} × {source.height} pixels",
            f"{source.duration:.1f} s",
            f"{clip.num_frames} frames from {clip.timestamps[0]:.1f} s on, {step}",
            *source.warnings,
        ],
    }


def _evidence(target: int | None, against: int | None, method: str | None, stage: str | None) -> Answer:
    """Arguments of `Analysis.class_evidence`; None is the default of each."""
    return {"layer": stage, "target": target, "method": method, "against": against}


def _selection(
    analysis: Analysis,
    query: tuple[int, float, float] | None,
    layer: str | None,
    levels: int | None,
    evidence: Answer,
    paper: bool,
) -> Selection:
    """What is shown; the paper's own picture of a class is of no other method, stage or class beside it."""
    if paper:
        return analysis.select(query, layer, levels, evidence["target"], paper=True)
    return analysis.select(
        query,
        layer,
        levels,
        evidence["target"],
        against=evidence["against"],
        method=evidence["method"],
        evidence_layer=evidence["layer"],
    )


def _verdict(analysis: Analysis, found: Faithfulness) -> Answer:
    """Headline, sentences, and what was tested."""
    headline, *sentences = found.verdict
    labels = analysis.info.labels
    against = "" if found.against is None else f" rather than “{labels[found.against]}”"
    return {
        "faithful": found.faithful,
        "headline": headline,
        "sentences": sentences,
        "tested": f"Tested: “{labels[found.target]}”{against}, {found.method.replace('_', ' ')} in {found.layer}. ",
        "method": METHOD_WORDS[found.method],
        "charts": {name: _plotly(charts.faithfulness_chart(found, name)) for name in charts.FAITHFULNESS_TITLES},
    }


def _plotly(figure: Any) -> Answer:
    """A figure as plotly.js takes it."""
    parts: Answer = json.loads(figure.to_json())
    return {"data": parts["data"], "layout": parts["layout"]}
