"""Pictures that motion15 is rendered from: sprites with alpha, photographs and panoramas.

assets/motion/MANIFEST.tsv lists them and fixes which split every picture belongs to. Pictures of one kind (all frames
of a character, all cars) share a group, and a group never spans two splits.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sifa_core.paths import ASSETS

Image = NDArray[Any]
"""A picture, uint8."""
MATERIAL = ASSETS / "motion"
SPLITS = ("train", "val", "test")
WALK_TOKEN = "_walk"
"""What the file names of walk-cycle frames have in common."""
TURNS_VISIBLY = 0.06
"""Least mean change, of full scale, under a turn by 40 degrees for a sprite that may stand for a turning object."""


@functools.cache
def manifest() -> tuple[dict[str, str], ...]:
    """Rows of MANIFEST.tsv: file, kind (picture, character, photograph, panorama), group, split, licence, ..."""
    with (MATERIAL / "MANIFEST.tsv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file, delimiter="\t"))


def _read(file: str, mode: int) -> Image:
    picture = cv2.imread(str(MATERIAL / file), mode)
    if picture is None:
        raise FileNotFoundError(f"{file} is missing from {MATERIAL} or is no picture")
    return picture


@functools.lru_cache(maxsize=1024)
def load_sprite(file: str) -> Image:
    """RGBA with straight alpha, [h, w, 4]."""
    return cv2.cvtColor(_read(file, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


@functools.lru_cache(maxsize=32)
def load_photo(file: str) -> tuple[Image, ...]:
    """RGB pyramid, each level half as large as the one before. Panoramas are laid twice side by side."""
    picture = cv2.cvtColor(_read(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if Path(file).name.startswith("hdri_"):
        # the poles of a spherical panorama are stretched beyond likeness; its ends meet, so any turn can be shown
        height = picture.shape[0]
        picture = picture[height // 6 : height - height // 5]
        picture = np.concatenate([picture, picture], axis=1)
    return pyramid(np.ascontiguousarray(picture), smallest=48)


def pyramid(picture: Image, smallest: int = 8) -> tuple[Image, ...]:
    """The picture and its halvings, down to a short side of at least `smallest` pixels."""
    levels = [picture]
    while min(levels[-1].shape[:2]) >= 2 * smallest:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return tuple(levels)


@functools.lru_cache(maxsize=1024)
def turns_visibly(file: str) -> bool:
    """Whether a sprite looks different after a turn; a ball or a coin does not."""
    sprite = cv2.resize(load_sprite(file), (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    seen = sprite[..., :3] * sprite[..., 3:] + 0.5 * (1 - sprite[..., 3:])
    turn = cv2.getRotationMatrix2D((23.5, 23.5), 40, 1.0)
    turned = cv2.warpAffine(seen, turn, (48, 48), borderValue=(0.5, 0.5, 0.5))
    return float(np.abs(turned - seen).mean()) >= TURNS_VISIBLY


@dataclass(frozen=True)
class Material:
    """Files of one split, by kind."""

    pictures: tuple[str, ...]
    characters: tuple[tuple[str, ...], ...]
    """Walk cycles: the frames of each character in order."""
    photographs: tuple[str, ...]
    panoramas: tuple[str, ...]


@functools.cache
def material(split: str) -> Material:
    """The files of a split, in a fixed order. Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    rows = [row for row in manifest() if row["split"] == split]

    def files(kind: str) -> tuple[str, ...]:
        return tuple(sorted(row["file"] for row in rows if row["kind"] == kind))

    walks: dict[str, list[str]] = {}
    for row in rows:
        if row["kind"] == "character" and WALK_TOKEN in row["file"]:
            walks.setdefault(row["group"], []).append(row["file"])
    cycles = tuple(tuple(sorted(walks[group])) for group in sorted(walks))
    return Material(files("picture"), cycles, files("photograph"), files("panorama"))
