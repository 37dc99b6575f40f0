"""What the page and the API share: one model, the example clips, and the analyses kept for visitors."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sifa_core as sifa
from app.cache import AnalysisCache, Kept
from app.examples import Example, find_examples
from app.models import MAIN, ModelShelf
from sifa_core import Analysis, Clip, SifaError
from sifa_core.explain.render import figure5
from sifa_core.explain.render.payload import layer_arrays, viewer_payload
from sifa_core.inference import VIEWS, predict
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS

CACHE_BYTES = 500_000_000
"""All analyses kept; a visit takes up to about 20 MB."""
FRAME_BYTES = 12_000_000
"""Frames of one clip; the model's own input and the traces come on top."""
MAX_SHORT_SIDE = 360
WIDE_ASPECT = 16 / 9
BREATH = 0.5
"""Between two examples analysed ahead, visitors get their turn; seconds."""

log = logging.getLogger("app")


class UnknownExampleError(SifaError):
    """A name that no example clip has."""


class ForgottenError(SifaError):
    """A token whose analysis is not kept (any more)."""


@dataclass(frozen=True)
class Sight:
    """What a model makes of a clip, without the model, which may be put away meanwhile."""

    clip: str
    """The clip's hash."""
    payload: dict[str, Any]
    predictions: list[tuple[str, float]] | None
    """(label, probability), most probable first; None without training."""


def sight_of(analysis: Analysis, payload: dict[str, Any]) -> Sight:
    """What is kept of an analysis to compare it with another."""
    predictions = analysis.predictions if analysis.info.is_trained else None
    return Sight(analysis.clip.sha256, payload, predictions)


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
        self.models = ModelShelf(model, compare)
        self.examples: dict[str, Example] = find_examples(clips)
        self.cache = AnalysisCache(cache_bytes)
        self.model_lock = threading.RLock()
        """Held by whoever runs the model: a forward, a Grad-CAM, or anything that may need one."""
        self._example_tokens: dict[str, str] = {}

    def example(self, name: str) -> Example:
        """Raises UnknownExampleError, naming those that exist."""
        if name not in self.examples:
            known = ", ".join(self.examples) or "there are none"
            raise UnknownExampleError(f"There is no example {name!r}; choose one of: {known}.")
        return self.examples[name]

    def read(self, path: str | Path, views: int = VIEWS) -> tuple[Clip, list[Clip]]:
        """The clip of a file, as many frames as the model takes, small enough to be kept, and `views` clips spread over
        the whole file, see `predict_video`. Raises ClipError."""
        frames, small = self.model.info.num_frames, 2 * self.model.info.input_size
        side = _short_side(frames, WIDE_ASPECT)
        clip, spread = sifa.read_views(path, frames, views, max_short_side=side, view_short_side=small)
        if clip.frames.nbytes > FRAME_BYTES:  # wider than usual
            long, short = max(clip.width, clip.height), min(clip.width, clip.height)
            side = _short_side(frames, long / short)
            clip, spread = sifa.read_views(path, frames, views, max_short_side=side, view_short_side=small)
        return clip, spread

    def analyze(self, clip: Clip, spread: Sequence[Clip] = ()) -> str:
        """Run the model on a clip, and on those spread over its video; keep the analysis with its payload and return
        its token."""
        with self.model_lock:
            analysis = sifa.analyze(self.model, clip)
            video = predict(self.model, *spread) if spread and self.model.info.is_trained else None
            kept = Kept(analysis, _payload(analysis, video))
        return self.cache.put(kept)

    def analyze_once(self, path: str | Path) -> Analysis:
        """The analysis of a file that nobody will ask for again, so it is not kept."""
        clip, _ = self.read(path, views=1)  # no other clip of it is asked for
        with self.model_lock:
            return sifa.analyze(self.model, clip)

    def kept_example(self, name: str) -> str | None:
        """The token of an example's analysis if that is kept."""
        token = self._example_tokens.get(self.example(name).name)
        return token if token is not None and self.cache.get(token) is not None else None

    def open_example(self, name: str) -> str:
        """The token of an example's analysis, which is shared by all visitors and made when first asked for."""
        example = self.example(name)
        with self.model_lock:
            token = self.kept_example(name)
            if token is None:
                token = self._example_tokens[name] = self.analyze(*self.read(example.path))
        return token

    def kept(self, token: str) -> Kept:
        """What is kept under a token. Raises ForgottenError if it has made room for others."""
        kept = self.cache.get(token)
        if kept is None:
            raise ForgottenError("This clip is no longer kept here; please open it again.")
        return kept

    def analysis(self, token: str) -> Analysis:
        """The analysis of a token. Raises ForgottenError as `kept` does."""
        return self.kept(token).analysis

    def payload(self, token: str) -> dict[str, Any]:
        """What the viewer shows of the analysis of a token. Raises ForgottenError as `kept` does."""
        return self.kept(token).payload

    def seen_by(self, token: str, key: str) -> Sight:
        """The clip of a token as the model `key` of `models` sees it. Raises UnknownModelError, ForgottenError and
        whatever loading that model raises."""
        kept = self.kept(token)
        if key == MAIN:
            return sight_of(kept.analysis, kept.payload)

        def look(analysis: Analysis) -> Sight:
            other = sifa.analyze(self.models.get(key), analysis.clip)
            return sight_of(other, _payload(other))

        other: Sight = self.worked_out(token, f"seen by {key}", look)
        return other

    def layer_arrays(self, token: str, key: str, layer: str) -> dict[str, str]:
        """One layer of what `seen_by` shows, see `light_payload`; raises what that does, and QueryError."""
        return layer_arrays(self.seen_by(token, key).payload, layer)

    def worked_out(self, token: str, name: str, make: Callable[[Analysis], Any]) -> Any:
        """What `make` works out from an analysis, kept under `name` with it. Raises ForgottenError as `kept` does."""
        kept = self.kept(token)
        with self.model_lock:
            if name not in kept.extras:
                value = make(kept.analysis)
                self.cache.add(token, name, value)
                return value
        return kept.extras[name]

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
            if stop.wait(BREATH):
                return
        if ready:
            with self.model_lock:
                analysis = self.analysis(self.open_example(ready))
                figure5.pixels(analysis, analysis.select())


def _payload(analysis: Analysis, video: Sequence[tuple[str, float]] | None = None) -> dict[str, Any]:
    """What the viewer shows of an analysis, opened where it is clearest, with the evidence for the class predicted."""
    selection = analysis.select()
    return viewer_payload(analysis, selection, analysis.stage_grad_cams(selection.target), video)


def _short_side(frames: int, aspect: float) -> int:
    """The largest short side at which so many RGB frames fit into FRAME_BYTES, at most MAX_SHORT_SIDE."""
    return max(32, min(MAX_SHORT_SIDE, math.isqrt(int(FRAME_BYTES / (3 * frames * aspect)))))
