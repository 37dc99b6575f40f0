"""Which files are videos or pictures by their ending, which are litter, and the order that people count in."""

from __future__ import annotations

import re
from pathlib import PurePath

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".qt",
        ".mj2",
        ".3gp",
        ".3g2",
        ".f4v",
        ".mkv",
        ".webm",
        ".avi",
        ".divx",
        ".gif",
        ".apng",
        ".webp",
        ".avif",
        ".mpg",
        ".mpeg",
        ".m2v",
        ".vob",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".asf",
        ".flv",
        ".ogv",
        ".ogg",
        ".ivf",
        ".nut",
        ".mxf",
        ".dv",
        ".y4m",
        ".mjpeg",
        ".h264",
        ".264",
        ".hevc",
        ".h265",
        ".265",
        ".obu",
    ]
)
"""Endings, in lower case, of the containers and streams that the reader takes."""
PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp"))
"""Endings of single frames in a folder."""
_LITTER = frozenset(("__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"))


def is_video(name: str | PurePath) -> bool:
    """Whether a file's ending is one that the reader takes."""
    return PurePath(name).suffix.lower() in VIDEO_SUFFIXES


def is_picture(name: str | PurePath) -> bool:
    """Whether a file's ending is that of a single frame."""
    return PurePath(name).suffix.lower() in PICTURE_SUFFIXES


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or left behind by a file manager or an archive."""
    return name.startswith(".") or name.lower() in _LITTER


def natural_key(name: str) -> list[tuple[int, str, int]]:
    """Sorts 2.jpg before 10.jpg."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, "", int(part)) if part.isdecimal() else (1, part, 0) for part in parts]
