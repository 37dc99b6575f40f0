"""The example clips that come with the repository, and the gallery on the page from which a visitor opens one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sifa_core import read_clip
from sifa_core.errors import ClipError
from sifa_core.explain.render.payload import encode_jpeg
from sifa_core.inference import Predictions
from sifa_core.models import ModelInfo

OPENING = "person_walks_left_close"
"""The example that the page opens with: one mover, one direction, a still camera."""
SHOWS = {
    "cockatoo_approaches_camera": "object comes closer",
    "cockatoo_moves_right": "object moves right",
    "person_walks_left_close": "object moves left",
    "person_lands_and_runs_right_slow2x": "object moves right",
    "earth_rotates": "",
    "person_jumping_jacks": "",
}
"""Which class of the drawn set motion15 an example shows, as a person sees it; "" for none of them."""
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 108, 82
"""Short side of a thumbnail in pixels, and its JPEG quality."""

log = logging.getLogger("app")


@dataclass(frozen=True)
class Example:
    """One clip to begin with."""

    name: str
    """File name without its ending; what the page and the API call it."""
    path: Path

    @property
    def title(self) -> str:
        """The name in words, for display; "slow2x" at its end says that the clip is slowed down."""
        words = re.sub(r" slow\d+x$", " (slow)", self.name.replace("_", " "))
        return words[:1].upper() + words[1:]

    def thumbnail(self) -> str:
        """The middle frame as a data URI. Raises ClipError if the file cannot be read."""
        frame = read_clip(self.path, 3, max_short_side=THUMBNAIL_SIDE).frames[1]
        return "data:image/jpeg;base64," + encode_jpeg(frame, THUMBNAIL_SIDE, THUMBNAIL_QUALITY)


def remark(name: str, info: ModelInfo, predictions: Predictions) -> str:
    """Where an example and what a trained network says of it do not agree, in a sentence; "" where they do, or where
    its classes are others."""
    shown = SHOWS.get(name)
    if shown is None or not info.is_trained or not set(SHOWS.values()) - {""} <= set(info.labels):
        return ""
    said = predictions[0][0]
    if not shown:
        return f"None of the network’s classes fits this clip; it says “{said}”."
    return "" if said == shown else f"This clip shows “{shown}”: the network says “{said}” and is wrong here."


def find_examples(folder: Path) -> dict[str, Example]:
    """Every .mp4 in `folder` by name, the opening one first, then by alphabet; none if there is no such folder."""
    paths = sorted(folder.glob("*.mp4"), key=lambda path: (path.stem != OPENING, path.stem))
    return {path.stem: Example(path.stem, path) for path in paths}


def gallery(examples: Iterable[Example]) -> list[dict[str, str]]:
    """Name, title and thumbnail of each example that can be read."""
    with ThreadPoolExecutor() as pool:  # decoding runs beside other Python code, and the page waits for it
        return [each for each in pool.map(_shown, examples) if each]


def _shown(example: Example) -> dict[str, str]:
    try:
        thumbnail = example.thumbnail()
    except ClipError as error:
        log.warning("The example %s is left out: %s", example.name, error)
        return {}
    return {"name": example.name, "title": example.title, "thumbnail": thumbnail}
