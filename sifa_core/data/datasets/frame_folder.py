"""A clip that lies as a folder of numbered pictures: which of them are its frames, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from sifa_core.data.endings import is_litter, is_picture, natural_key
from sifa_core.data.transforms import resize_short_side
from sifa_core.errors import BrokenVideoError, ConfigError

Frames = NDArray[np.uint8]

_FLOW = re.compile(r"(?:flow|optical|depth|warped)|[uvxy][-_.]", re.I)
"""How names of pictures begin that are not frames but what was computed from them."""


def template_pattern(template: str) -> re.Pattern[str]:
    """Names that a template such as "img_{:05d}.jpg" stands for. Raises ConfigError."""
    place = re.fullmatch(r"([^{}]*)\{[^{}]*?(?::0?\d*d?)?\}([^{}]*)", template)
    if place is None:
        raise ConfigError(f"The template {template!r} of frame names needs one number, as in img_{{:05d}}.jpg.")
    return re.compile(re.escape(place[1]) + r"(\d+)" + re.escape(place[2]))


def frame_files(path: Path, template: str = "") -> list[Path]:
    """The frames of a folder in the order of their numbers.

    With a template only the names that it stands for; without one, pictures of optical flow and names without a number
    are passed over, and what is left must begin alike. Raises BrokenVideoError, ConfigError.
    """
    try:
        names = [file.name for file in path.iterdir() if not is_litter(file.name)]
    except OSError as error:
        raise BrokenVideoError(f"The folder {path.name} cannot be read: {error.strerror}.") from error
    if template:
        pattern = template_pattern(template)
        numbered = sorted((int(match[1]), name) for name in names if (match := pattern.fullmatch(name)))
        if not numbered:
            raise BrokenVideoError(f"The folder {path.name} has no picture that is named like {template}.")
        return [path / name for _, name in numbered]
    names = [name for name in names if is_picture(name)]
    if not names:
        raise BrokenVideoError(f"The folder {path.name} has no picture.")
    groups: dict[str, list[str]] = {}
    for name in names:
        if match := re.fullmatch(r"(.*?)\d+", Path(name).stem):
            groups.setdefault(match[1], []).append(name)
    if len(groups) > 1:
        groups = {start: found for start, found in groups.items() if not _FLOW.match(start)} or groups
    if len(groups) > 1:
        kinds = ", ".join(f"{start or '(number only)'}... ({len(found)})" for start, found in sorted(groups.items()))
        raise BrokenVideoError(
            f"The folder {path.name} has several kinds of pictures: {kinds}; "
            "a template such as img_{:05d}.jpg tells which ones are the frames."
        )
    chosen = next(iter(groups.values())) if groups else names
    return [path / name for name in sorted(chosen, key=natural_key)]


def read_frame_folder(
    path: Path, choose: Callable[[int], NDArray[np.int64]], template: str = "", max_short_side: int | None = None
) -> Frames:
    """Chosen frames of a folder of numbered pictures, uint8 [T, H, W, 3].

    Where the short side is longer than `max_short_side` each is made smaller as soon as it is read, so that hundreds of
    large ones fit into memory. Raises BrokenVideoError, ConfigError.
    """
    files = frame_files(path, template)
    wanted = choose(len(files))
    pictures: dict[int, Frames] = {}
    shape = None
    for index in sorted(set(wanted.tolist())):
        picture = _read_picture(files[index])
        if picture is None or picture.shape != (shape or picture.shape):
            raise BrokenVideoError(f"The picture {files[index].name} in {path.name} is broken or of another size.")
        shape = picture.shape
        frame = np.ascontiguousarray(picture[..., ::-1], np.uint8)
        is_larger = max_short_side is not None and min(shape[:2]) > max_short_side
        pictures[index] = resize_short_side(frame[None], max_short_side or 0)[0] if is_larger else frame
    return np.stack([pictures[index] for index in wanted.tolist()])


def _read_picture(file: Path) -> MatLike | None:
    """BGR [H, W, 3]; None for a file that cannot be read, or whose header claims what no memory holds."""
    try:
        data = np.fromfile(file, np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
