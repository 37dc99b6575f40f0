"""What the page and the API share: one model, the example clips, and the analyses in memory for visitors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sifa_core as sifa
from app.cache import AnalysisCache, CacheEntry, Video
from app.examples import Example, find_examples
from app.models import MAIN, ModelPool
from sifa_core import Analysis, Clip, SifaError
from sifa_core.data import ClipSource, VideoReading
from sifa_core.data.isolated import shared_readers
from sifa_core.data.reading import Course
from sifa_core.explain.render import figure5
from sifa_core.explain.render.payload import evidence_map, layer_arrays, viewer_payload
from sifa_core.explain.studies.faithfulness import Faithfulness, faithfulness
from sifa_core.inference import VIEWS, predict, public_predictions
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from sifa_core.timeline import Moment, Timeline, moments, number_of_windows

CACHE_BYTES = 500_000_000
"""All analyses in memory; one takes up to about 20 MB."""
FRAME_BYTES = 12_000_000
"""Frames of one clip; the model's own input and the traces come on top."""
MAX_SHORT_SIDE = 360
TIMELINE = "timeline"
FILE_GONE = "The file of this clip is not here any more, only what was computed of it; please send it again."
EXAMPLE_PAUSE = 0.5
"""Between two examples analysed ahead, visitors get their turn; seconds."""

log = logging.getLogger("app")


class UnknownExampleError(SifaError):
    """A name that no example clip has."""


class EvictedError(SifaError):
    """A token whose analysis is not in memory (any more)."""


@dataclass(frozen=True)
class ModelView:
    """What a model makes of a clip, without the model, which may leave memory meanwhile."""

    clip: str
    """The clip's hash."""
    payload: dict[str, Any]
    predictions: list[dict[str, Any]] | None
    """See `public_predictions`."""


def view_of(analysis: Analysis, payload: dict[str, Any]) -> ModelView:
    """What the comparison of an analysis with another needs of it."""
    return ModelView(analysis.clip.sha256, payload, public_predictions(analysis.info, analysis.predictions))


class Service:
    """One model and all that is asked of it. Safe to use from several threads: the model serves one at a time."""

    def __init__(
        self,
        model: VideoModel,
        *,
        compare: Sequence[str] = (),
        cache_bytes: int = CACHE_BYTES,
        clips: Path = EXAMPLE_CLIPS,
    ) -> None:
        self.model = model
        self.models = ModelPool(model, compare)
        self.examples: dict[str, Example] = find_examples(clips)
        self.cache = AnalysisCache(cache_bytes)
        self.readers = shared_readers()
        """Who reads what visitors send: processes that may die."""
        self.model_lock = threading.RLock()
        """Held by whoever runs the model: a forward, a Grad-CAM, or anything that may need one."""
        self._example_tokens: dict[str, str] = {}

    def example(self, name: str) -> Example:
        """Raises UnknownExampleError, naming those that exist."""
        if name not in self.examples:
            known = ", ".join(self.examples) or "there are none"
            raise UnknownExampleError(f"There is no example {name!r}; choose one of: {known}.")
        return self.examples[name]

    def read(self, path: str | Path, views: int = VIEWS) -> VideoReading:
        """The clip of a file, as many frames as the model takes, small enough for the cache, and `views` clips spread
        over the whole file, see `predict_video`. Raises ClipError."""
        info = self.model.info
        return self.readers.read_video(
            path,
            info.num_frames,
            views,
            max_short_side=MAX_SHORT_SIDE,
            max_bytes=FRAME_BYTES,
            view_short_side=2 * info.input_size,
        )

    def analyze(self, clip: Clip, video: Video | None = None) -> str:
        """Run the model on a clip; store the analysis with its payload, and return its token."""
        with self.model_lock:
            analysis = sifa.analyze(self.model, clip)
            entry = CacheEntry(analysis, _payload(analysis, video.predictions if video else None), video)
        return self.cache.put(entry)

    def analyze_video(self, path: str | Path, reading: VideoReading, example: str = "") -> str:
        """`analyze` what `read` gave of a file, which may be asked for other moments of it from then on."""
        first = int(reading.clip.indices[0]), reading.clip.source.stride
        with self.model_lock:
            predictions = predict(self.model, *reading.views) if self.model.info.is_trained else None
            return self.analyze(reading.clip, Video(Path(path), reading.course, predictions, first, example))

    def analyze_once(self, path: str | Path, start: int | None = None, stride: int | None = None) -> Analysis:
        """The analysis of a file that nobody will ask for again, so it is not stored; of the window that moves most
        where `start` and `stride` are left open. Raises ClipError."""
        if start is None and stride is None:
            clip = self.read(path, views=1).clip  # no other clip of it is asked for
        else:
            clip = self.readers.read_clip(
                path,
                self.model.info.num_frames,
                start=start,
                stride="auto" if stride is None else stride,
                max_short_side=MAX_SHORT_SIDE,
            )
        with self.model_lock:
            return sifa.analyze(self.model, clip)

    def window(self, token: str, start: int, stride: int) -> str:
        """The token of the analysis of another window of the same video: as many frames from `start` on, `stride`
        apart. Raises EvictedError, also where the file is not there any more, and ClipError."""
        entry = self.entry(token)
        clip, video = entry.analysis.clip, self._video(entry)
        found = self.readers.read_clip(
            video.path,
            clip.num_frames,
            start=start,
            stride=stride,
            max_short_side=min(clip.height, clip.width),
            known_frames=clip.source.num_frames,
        )
        if found.sha256 != clip.sha256:
            raise EvictedError(FILE_GONE)
        return self.analyze(found, video)

    def timeline(self, token: str, progress: Callable[[float], None] = lambda done: None) -> Timeline:
        """What the model makes of the whole video of an analysis, moment by moment; stored with the analysis.
        `progress` is told the fraction that is done. Raises as `window` does."""
        entry = self.entry(token)
        if TIMELINE in entry.extras:
            done: Timeline = entry.extras[TIMELINE]
            return done
        video = self._video(entry)
        whole = self._timeline(video.path, entry.analysis.clip.source, video.course, progress)
        self.cache.add(token, TIMELINE, whole)
        return whole

    def timeline_once(self, path: str | Path) -> Timeline:
        """`timeline` of a file that nobody will ask for again, so it is not stored. Raises ClipError."""
        reading = self.read(path, views=1)
        return self._timeline(Path(path), reading.clip.source, reading.course, lambda done: None)

    def _timeline(self, path: Path, source: ClipSource, course: Course, progress: Callable[[float], None]) -> Timeline:
        info = self.model.info
        _, windows = self.readers.read_overview(
            path,
            info.num_frames,
            number_of_windows(source.duration),
            source.stride,
            thumbnails=1,
            max_short_side=2 * info.input_size,
            known_frames=source.num_frames,
        )
        found: list[Moment] = []
        for clip in windows:
            with self.model_lock:  # others have their turn between two windows
                found += moments(self.model, [clip])
            progress(len(found) / len(windows))
        return Timeline(tuple(info.labels), course, tuple(found))

    @staticmethod
    def _video(entry: CacheEntry) -> Video:
        if entry.video is None or not entry.video.path.is_file():
            raise EvictedError(FILE_GONE)
        return entry.video

    def cached_example(self, name: str) -> str | None:
        """The token of an example's analysis if that is in memory."""
        token = self._example_tokens.get(self.example(name).name)
        return token if token is not None and self.cache.get(token) is not None else None

    def open_example(self, name: str) -> str:
        """The token of an example's analysis, which is shared by all visitors and made when first asked for."""
        example = self.example(name)
        if (token := self.cached_example(name)) is not None:  # without waiting for whoever runs the model
            return token
        with self.model_lock:
            token = self.cached_example(name)
            if token is None:
                token = self._example_tokens[name] = self.analyze_video(
                    example.path, self.read(example.path), example.name
                )
        return token

    def entry(self, token: str) -> CacheEntry:
        """The cache entry of a token. Raises EvictedError if it has made room for others."""
        entry = self.cache.get(token)
        if entry is None:
            raise EvictedError("This clip has made room for others here; please open it again.")
        return entry

    def analysis(self, token: str) -> Analysis:
        """The analysis of a token. Raises EvictedError as `entry` does."""
        return self.entry(token).analysis

    def payload(self, token: str) -> dict[str, Any]:
        """What the viewer shows of the analysis of a token. Raises EvictedError as `entry` does."""
        return self.entry(token).payload

    def model_view(self, token: str, key: str) -> ModelView:
        """What the model `key` of `models` makes of the clip of a token. Raises UnknownModelError, EvictedError and
        whatever loading that model raises."""
        entry = self.entry(token)
        if key == MAIN:
            return view_of(entry.analysis, entry.payload)

        def compute(analysis: Analysis) -> ModelView:
            other = sifa.analyze(self.models.get(key), analysis.clip)
            return view_of(other, _payload(other))

        view: ModelView = self.get_or_compute(token, f"view of {key}", compute)
        return view

    def layer_arrays(self, token: str, key: str, layer: str) -> dict[str, str]:
        """One layer of a `model_view`, see `light_payload`; raises what that does, and QueryError."""
        return layer_arrays(self.model_view(token, key).payload, layer)

    def evidence_map(self, token: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """One picture of class evidence for the viewer; `evidence` and what is raised as in `faithfulness`."""

        def find(analysis: Analysis) -> dict[str, Any]:
            stage, target, method, against = (evidence[name] for name in ("layer", "target", "method", "against"))
            return evidence_map(analysis, stage, target, method, against)

        found: dict[str, Any] = self.get_or_compute(token, f"evidence of {sorted(evidence.items())}", find)
        return found

    def faithfulness(
        self, token: str, evidence: Mapping[str, Any], progress: Callable[[float, str], None]
    ) -> Faithfulness:
        """Whether the picture of class evidence of an analysis can be believed: `evidence` are the arguments of
        `Analysis.class_evidence`. Raises QueryError for impossible ones, and EvictedError as `entry` does."""

        def test(analysis: Analysis) -> Faithfulness:
            return faithfulness(analysis, **evidence, progress=progress)

        found: Faithfulness = self.get_or_compute(token, f"faithfulness of {sorted(evidence.items())}", test)
        return found

    def get_or_compute(self, token: str, name: str, compute: Callable[[Analysis], Any]) -> Any:
        """What `compute` makes of an analysis, stored under `name` with it. Raises EvictedError as `entry` does."""
        with self.model_lock:
            entry = self.entry(token)
            if name not in entry.extras:
                value = compute(entry.analysis)
                self.cache.add(token, name, value)
                return value
            return entry.extras[name]

    def warm_up(self, stop: threading.Event) -> None:
        """Analyse the examples, one at a time until told to stop, so that each is there when it is asked for.

        In the end it draws a figure, so that nobody waits for the code of that to load.
        """
        ready = ""
        for name in self.examples:
            try:
                self.open_example(name)
                ready = name
            except SifaError as error:
                log.warning("The example %s cannot be shown: %s", name, error)
            if stop.wait(EXAMPLE_PAUSE):
                return
        if ready:
            with self.model_lock:
                analysis = self.analysis(self.open_example(ready))
                figure5.pixels(analysis, analysis.select())


def _payload(analysis: Analysis, video: Sequence[tuple[str, float]] | None = None) -> dict[str, Any]:
    """What the viewer shows of an analysis, opened where it is clearest, with the evidence for the class predicted."""
    return viewer_payload(analysis, analysis.select(), video)
