"""The models that a visitor may choose between: those that the server was started with, never a visitor's own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from sifa_core import SifaError, load_model
from sifa_core.explain.studies.ablation import without_offsets
from sifa_core.models import VideoModel, model_names

MAIN, REGULAR = "main", "regular"
"""Keys of the page's own model, and of the same model with its offsets switched off."""
MOST_LOADED = 2
"""Further models kept in memory at a time; another one takes the place of the least recently used."""


class UnknownModelError(SifaError):
    """A key that no model of this server has."""


class ModelShelf:
    """The page's own model, the same without offsets, and others that are loaded when first asked for.

    Not safe to use from several threads at once: ask under the service's lock.
    """

    def __init__(self, main: VideoModel, others: Sequence[str] = ()) -> None:
        self._main = main
        self._regular: VideoModel | None = None
        self._others = {f"other-{number}": name for number, name in enumerate(others, start=1)}
        self._loaded: OrderedDict[str, VideoModel] = OrderedDict()

    @property
    def titles(self) -> dict[str, str]:
        """Key -> what to call the model; names of files are untrusted text."""
        own = f"{self._main.info.name} ({self._main.info.status})"
        others = {key: Path(name).name for key, name in self._others.items()}
        return {MAIN: own, REGULAR: f"{self._main.info.name} without offsets (regular grid)"} | others

    def get(self, key: str) -> VideoModel:
        """The model of a key. Raises UnknownModelError, and whatever `load_model` raises."""
        if key == MAIN:
            return self._main
        if key == REGULAR:
            self._regular = self._regular or without_offsets(self._main)
            return self._regular
        if key not in self._others:
            raise UnknownModelError("There is no such model here; choose one of the list.")
        if key not in self._loaded:
            device = str(next(self._main.parameters()).device)
            self._loaded[key] = load_model(self._others[key], device=device)
        self._loaded.move_to_end(key)
        while len(self._loaded) > MOST_LOADED:
            self._loaded.popitem(last=False)
        return self._loaded[key]


def check_exists(name: str) -> None:
    """Raise what `load_model` would for a name or file that does not exist, without loading one that does."""
    if name not in model_names() and not name.startswith("hf://") and not Path(name).is_file():
        load_model(name)
