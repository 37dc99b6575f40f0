"""What `sifa_core.analyze` returns: an analysis that has the studies and the files as methods.

The top of the floors in this package: primitives, analysis, studies, renderings, and this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from sifa_core import data
from sifa_core.data import Clip
from sifa_core.errors import ExportError
from sifa_core.explain.analysis import Analysis, Target
from sifa_core.explain.points import Query
from sifa_core.explain.render import figure5, renderers
from sifa_core.explain.render.frame import page_in_frame
from sifa_core.explain.studies.controls import Control, run_controls
from sifa_core.explain.studies.diagnostics import Diagnostic, diagnose
from sifa_core.explain.studies.faithfulness import Faithfulness, faithfulness
from sifa_core.extras import missing
from sifa_core.models import VideoModel, load_model

if TYPE_CHECKING:
    from sifa_core.explain.render.widget import ViewerWidget


def analyze(model: VideoModel, clip: Clip, *, progress: Callable[[str], None] | None = None) -> Explanation:
    """Run `model` once on the whole of every frame of `clip` and keep what its SIFA layers did.

    Frames are resized to the model's input size (short side; aspect kept, sides rounded to its stride) and nothing is
    cropped, so every visible pixel has a feature. `progress` is told each step in words.

    Raises ModelError if the model has no SIFA layer to explain.
    """
    return Explanation.of(model, clip, progress)


class MapChoice(TypedDict, total=False):
    """Which maps a figure or file shows; see `Analysis.select`."""

    against: Target
    method: str | None
    evidence_layer: str | None
    paper: bool


class Explanation(Analysis):
    """An `Analysis` with its studies and files. Whatever a selection leaves out is filled in by `Analysis.select`."""

    @cached_property
    def _diagnostics(self) -> list[Diagnostic]:
        return diagnose(self)

    def warnings(self) -> list[Diagnostic]:
        """What is wrong with offsets and attention on this clip, in words, with what to try; faults first."""
        return self._diagnostics

    def controls(self, seed: int = 0) -> list[Control]:
        """The same clip frozen, reversed, shuffled and held, each analysed once more: four more runs of the model."""
        return list(run_controls(self, seed))

    def faithfulness(
        self,
        layer: str | None = None,
        target: Target = None,
        against: Target = None,
        method: str | None = None,
        *,
        seed: int = 0,
        progress: Callable[[float, str], None] | None = None,
    ) -> Faithfulness:
        """Whether the picture of `class_evidence` can be believed: deletion and insertion, the same picture under
        shuffled weights and for another class, and a verdict in words. `progress` is told (0..1, what comes next)."""
        return faithfulness(
            self, layer=layer, target=target, against=against, method=method, seed=seed, progress=progress
        )

    def figure5(
        self,
        query: Query | None = None,
        layer: str | None = None,
        levels: int | None = None,
        target: Target = None,
        **maps: Unpack[MapChoice],
    ) -> NDArray[np.uint8]:
        """Figure 5 for one query: frame t | attention on t+1 | motion | class evidence; uint8 [H, W, 3].

        `paper=True` draws the paper's own maps: motion saliency (Eq. 5) of the layer, and Grad-CAM of the last stage.
        """
        return figure5.pixels(self, self.select(query, layer, levels, target, **maps))

    def save(
        self,
        path: str | Path,
        query: Query | None = None,
        layer: str | None = None,
        levels: int | None = None,
        target: Target = None,
        **maps: Unpack[MapChoice],
    ) -> Path:
        """Write the analysis as .html (interactive, self-contained), .png, .svg or .pdf (Figure 5, see `figure5`), .gif
        or .mp4 (the query's trail as a film) or .json.

        All carry the hashes of model and clip. Raises ExportError for another ending or a place that cannot be written.
        """
        return renderers.save(self, Path(path), self.select(query, layer, levels, target, **maps))

    def widget(
        self,
        query: Query | None = None,
        layer: str | None = None,
        levels: int | None = None,
        target: Target = None,
        **maps: Unpack[MapChoice],
    ) -> ViewerWidget:
        """The viewer for a notebook. Its `query` (t, x, y), `layer` and `frame` can be set and read while it is shown.

        Raises ExportError if the extra `notebook` is not installed.
        """
        try:
            from sifa_core.explain.render.widget import ViewerWidget
        except ModuleNotFoundError as error:
            raise ExportError(missing(error) or str(error)) from error
        return ViewerWidget(self, self.select(query, layer, levels, target, **maps))

    def _repr_html_(self) -> str:
        """The interactive viewer as it is, for any notebook: no kernel and no extension needs to run."""
        return page_in_frame(self, self.select())


def explore(
    model: VideoModel | str | Path,
    clip: Clip | str | Path,
    query: Query | None = None,
    layer: str | None = None,
    levels: int | None = None,
    target: Target = None,
    **maps: Unpack[MapChoice],
) -> ViewerWidget:
    """`sifa.explore("sifa_net_tiny", "clip.mp4")`: a video in a notebook's viewer, in one line.

    Args:
        model: a model, or what `load_model` takes.
        clip: a clip, or a video of which the window that moves most is read.
        query, layer, levels, target, maps: what is shown first, as in `Explanation.save`.

    The widget's `analysis` has the numbers. Raises what `load_model`, `read_clip`, `analyze` and `widget` raise.
    """
    if not isinstance(model, VideoModel):
        model = load_model(model)
    if not isinstance(clip, Clip):
        clip = data.read_clip(clip, num_frames=model.info.num_frames)
    return analyze(model, clip).widget(query, layer, levels, target, **maps)
