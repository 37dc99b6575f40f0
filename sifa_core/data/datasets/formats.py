"""Reads the annotation files of video data sets: which file has which class. Nothing is decoded here.

Each reader gives entries and class names; names that a file leaves open come from `labels` or from the entries.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sifa_core.data.datasets.base import DatasetError

VIDEO_SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".gif", ".wmv", ".flv")
KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end")


@dataclass(frozen=True)
class Entry:
    """One video: a file, or a folder of frames, and its class."""

    path: Path
    label: int


Listing = tuple[list[Entry], tuple[str, ...]]


def _text(path: str | Path, what: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The {what} {path} cannot be read as text.") from error


def _json(path: str | Path, what: str) -> Any:
    try:
        return json.loads(_text(path, what))
    except json.JSONDecodeError as error:
        raise DatasetError(f"The {what} {path} is not valid JSON: {error.msg} in line {error.lineno}.") from error


def read_names(path: str | Path) -> tuple[str, ...]:
    """Class names from a text file, one a line, or a JSON list or {name: number}. Raises DatasetError."""
    if Path(path).suffix == ".json":
        content = _json(path, "label file")
        if isinstance(content, dict):
            numbers = {name: str(number) for name, number in content.items()}
            if set(numbers.values()) != set(map(str, range(len(numbers)))):
                raise DatasetError(f"The label file {path} does not number its classes 0, 1, 2, ...")
            names = sorted(numbers, key=lambda name: int(numbers[name]))
        elif isinstance(content, list):
            names = [str(name) for name in content]
        else:
            raise DatasetError(f"The label file {path} is neither a list of names nor names with numbers.")
    else:
        names = [line.strip() for line in _text(path, "label file").splitlines() if line.strip()]
    if len(set(names)) != len(names) or not names:
        raise DatasetError(f"The label file {path} names no class, or one twice.")
    return tuple(names)


def _numbered(rows: Sequence[tuple[Path, str]], names: Sequence[str] | None, source: str | Path) -> Listing:
    """Class texts to numbers. Texts that are all whole numbers count as numbers already."""
    if not rows:
        raise DatasetError(f"{source} lists no video.")
    texts = {text for _, text in rows}
    if names is None and all(text.isdigit() for text in texts):
        names = [f"class {number}" for number in range(max(map(int, texts)) + 1)]
    names = tuple(names) if names is not None else tuple(sorted(texts))
    numbers = {name: number for number, name in enumerate(names)}
    entries = []
    for path, text in rows:
        number = numbers.get(text, int(text) if text.isdigit() else -1)
        if not 0 <= number < len(names):
            raise DatasetError(f"{source} has the class {text!r}, which is none of the {len(names)} known ones.")
        entries.append(Entry(path, number))
    return entries, names


def read_list(path: str | Path, root: str | Path = "", names: Sequence[str] | None = None) -> Listing:
    """A Kinetics CSV (label, youtube_id, time_start, time_end, split) or lines of "file class".

    Lines are separated by a comma, a tab or a space; the class is a number or a name. Raises DatasetError.
    """
    text, base = _text(path, "list"), Path(root or Path(path).parent)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    header = next(csv.reader(lines[:1]), [])
    if all(column in header for column in KINETICS_COLUMNS):
        return _numbered([_kinetics(row, base, path) for row in csv.DictReader(lines)], names, path)
    rows = []
    for number, line in enumerate(lines, 1):
        separator = next((mark for mark in ("\t", ",", " ") if mark in line), None)
        if separator is None:
            raise DatasetError(f"Line {number} of {path} is not a file and a class.")
        file, label = line.rsplit(separator, 1)
        if not file.strip() or not label.strip():
            raise DatasetError(f"Line {number} of {path} is not a file and a class.")
        rows.append((base / file.strip().strip('"'), label.strip().strip('"')))
    if rows and [part.name for part, _ in rows[:1]] in (["path"], ["file"], ["video"]):
        rows = rows[1:]
    return _numbered(rows, names, path)


def _kinetics(row: dict[str, str], base: Path, source: str | Path) -> tuple[Path, str]:
    """Kinetics names its files by identifier and whole seconds, flat or in a folder per class."""
    try:
        name = f"{row['youtube_id']}_{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}.mp4"
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{source} has a row without start and end time: {row}.") from error
    in_folder = base / row["label"].replace(" ", "_") / name
    spaced = base / row["label"] / name
    return next((file for file in (in_folder, spaced) if file.exists()), base / name), row["label"]


def read_folders(path: str | Path, root: str | Path = "", names: Sequence[str] | None = None) -> Listing:
    """A folder per class, videos below it. Raises DatasetError."""
    base = Path(root) / path
    if not base.is_dir():
        raise DatasetError(f"There is no folder {base}.")
    rows = [
        (file, file.relative_to(base).parts[0])
        for file in sorted(base.glob("*/**/*"))
        if file.suffix.lower() in VIDEO_SUFFIXES
    ]
    return _numbered(rows, names or sorted({label for _, label in rows}), base)


def read_something_v1(path: str | Path, root: str | Path = "", names: Sequence[str] | None = None) -> Listing:
    """Lines "identifier;class name"; `root` holds a folder of JPEG frames for each identifier. Raises DatasetError."""
    rows = []
    for number, line in enumerate(_text(path, "list").splitlines(), 1):
        identifier, mark, label = line.partition(";")
        if not line.strip():
            continue
        if not mark or not label.strip():
            raise DatasetError(f"Line {number} of {path} is not of the form identifier;class.")
        rows.append((Path(root) / identifier.strip(), label.strip()))
    return _numbered(rows, names, path)


def read_something_v2(path: str | Path, root: str | Path = "", names: Sequence[str] | None = None) -> Listing:
    """A JSON list of {"id", "template"}; `root` holds id.webm. Brackets in a template are dropped. DatasetError."""
    content = _json(path, "annotation file")
    if not isinstance(content, list):
        raise DatasetError(f"The annotation file {path} is not a list.")
    rows = []
    for entry in content:
        template = entry.get("template") or entry.get("label") if isinstance(entry, dict) else None
        if not template or "id" not in entry:
            raise DatasetError(f"The annotation file {path} has an entry without id or template: {entry}.")
        rows.append((Path(root) / f"{entry['id']}.webm", re.sub(r"[\[\]]", "", str(template))))
    return _numbered(rows, names, path)


READERS: dict[str, Callable[[str | Path, str | Path, Sequence[str] | None], Listing]] = {
    "list": read_list,
    "folders": read_folders,
    "something_v1": read_something_v1,
    "something_v2": read_something_v2,
}
"""Format -> reader of (file or folder, root, class names)."""
