"""The example clips that come with the repository: titles and thumbnails."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

import cv2

from sifa_core import read_clip

OPENING = "person_walks_left_close"
"""The example that the page opens with: one mover, one direction, a still camera."""
THUMBNAIL_SIDE = 108
"""Short side of a thumbnail, pixels."""


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
        _, encoded = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
        return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def find_examples(folder: Path) -> dict[str, Example]:
    """Every .mp4 in `folder` by name, the opening one first, then by alphabet; none if there is no such folder."""
    paths = sorted(folder.glob("*.mp4"), key=lambda path: (path.stem != OPENING, path.stem))
    return {path.stem: Example(path.stem, path) for path in paths}
