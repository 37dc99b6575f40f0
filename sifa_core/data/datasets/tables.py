"""Lists of videos as people write them: which cell of which line is a file, and which its class.

A list is separated by tabs, semicolons, commas or spaces; it has a heading of any name or none, quotes where a cell
needs them, and perhaps an index or a number of frames beside file and class.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sifa_core.data.datasets.base import DatasetError
from sifa_core.data.endings import VIDEO_SUFFIXES

_PATH_WORDS = [
    "path",
    "video_path",
    "file_path",
    "filepath",
    "filename",
    "file_name",
    "file",
    "video",
    "video_name",
    "videos",
    "clip",
    "clip_path",
    "clip_name",
    "frame_dir",
    "video_id",
    "name",
    "id",
]
_CLASS_WORDS = [
    "label",
    "class",
    "class_name",
    "label_name",
    "category",
    "action",
    "template",
    "target",
    "labels",
    "class_id",
    "label_id",
    "label_idx",
    "class_idx",
    "y",
]
_OTHER_WORDS = [
    "index",
    "idx",
    "frames",
    "num_frames",
    "nframes",
    "frame_count",
    "total_frames",
    "length",
    "split",
    "start",
    "end",
    "fps",
    "duration",
]
_SPACED = re.compile(rf"(.*?(?:{'|'.join(re.escape(suffix) for suffix in sorted(VIDEO_SUFFIXES))}))\s+(.+)", re.I)


@dataclass(frozen=True)
class Row:
    """One line of a list."""

    line: int
    """From 1."""
    file: str
    label: str


@dataclass(frozen=True)
class Table:
    """Cells of all lines that have some."""

    rows: list[tuple[int, list[str]]]
    """(line number from 1, cells)."""
    separator: str


def read_table(text: str) -> list[tuple[int, str]]:
    """(line number, line) of the lines that say something: neither empty nor a remark behind #."""
    lines = [(i, line.rstrip("\r")) for i, line in enumerate(text.split("\n"), 1)]
    return [(i, line) for i, line in lines if line.strip() and not line.lstrip().startswith("#")]


def list_rows(text: str, path: str | Path, exists: Callable[[str], bool]) -> list[Row]:
    """File and class of every line. `exists` tells whether a cell names a file or folder. Raises DatasetError."""
    lines = read_table(text)
    if not lines:
        return []
    tables = [table for separator in "\t;, " if (table := _split(lines, separator)) is not None]
    if not tables:
        raise DatasetError(f"Line {_unsplit(lines)} of {path} is not a file and a class with a separator between them.")

    def is_file(cell: str) -> bool:
        return Path(cell).suffix.lower() in VIDEO_SUFFIXES or exists(cell)

    table = next((table for table in tables if _file_column(table.rows, is_file) is not None), tables[0])
    heading = _heading(table.rows, is_file)
    rows = table.rows[1:] if heading else table.rows
    width = len(table.rows[0][1])
    for number, cells in rows:
        if len(cells) != width:
            raise DatasetError(
                f"Line {number} of {path} has {len(cells)} columns where line {table.rows[0][0]} has {width}; "
                "a class or file that contains the separator must be in quotes."
            )
    if not rows:
        return []
    file, label = _columns(rows, heading, is_file, path)
    for number, cells in rows:
        if not cells[file].strip() or not cells[label].strip():
            raise DatasetError(f"Line {number} of {path} is not a file and a class: {' | '.join(cells)!r}.")
    return [Row(number, cells[file].strip(), cells[label].strip()) for number, cells in rows]


def _split(lines: Sequence[tuple[int, str]], separator: str) -> Table | None:
    """Cells of every line; None if the separator leaves any line whole."""
    if separator == " ":
        rows = [(number, _spaced(line)) for number, line in lines]
        if all(len(cells) > 2 and cells[1].isdecimal() for _, cells in rows):
            rows = [(number, [cells[0], cells[1], " ".join(cells[2:])]) for number, cells in rows]
        else:
            rows = [(number, [cells[0], " ".join(cells[1:])] if len(cells) > 1 else cells) for number, cells in rows]
    else:
        rows = [
            (number, next(csv.reader([line], delimiter=separator, skipinitialspace=True))) for number, line in lines
        ]
        # A separator at the end of every line makes no column.
        if all(cells and not cells[-1].strip() for _, cells in rows):
            rows = [(number, cells[:-1]) for number, cells in rows]
    return Table(rows, separator) if all(len(cells) > 1 for _, cells in rows) else None


def _spaced(line: str) -> list[str]:
    """Cells between spaces; a file name before a known ending may have spaces of its own."""
    match = None if line.lstrip().startswith('"') else _SPACED.fullmatch(line.strip())
    if match:
        return [match[1], *match[2].strip().strip('"').split()]
    return [cell for cell in next(csv.reader([line.strip()], delimiter=" ", skipinitialspace=True)) if cell]


def _unsplit(lines: Sequence[tuple[int, str]]) -> int:
    return next((number for number, line in lines if len(line.split()) < 2), lines[0][0])


def _file_column(rows: Sequence[tuple[int, list[str]]], is_file: Callable[[str], bool]) -> int | None:
    """The column of which most cells are files, the heading left aside."""
    some = [cells for _, cells in rows[: 200 if len(rows) > 1 else 1]]
    some = some[1:] if len(some) > 1 else some
    counts = [sum(is_file(cells[i].strip()) for cells in some if i < len(cells)) for i in range(len(some[0]))]
    best = max(range(len(counts)), key=lambda i: counts[i])
    return best if 2 * counts[best] > len(some) else None


def _word(cell: str) -> str:
    return re.sub(r"[\s\-]+", "_", cell.strip().strip('"').lower())


def _heading(rows: Sequence[tuple[int, list[str]]], is_file: Callable[[str], bool]) -> list[str]:
    """The words of the first line if that is a heading; empty if it is not."""
    words = [_word(cell) for cell in rows[0][1]]
    known = {*_PATH_WORDS, *_CLASS_WORDS, *_OTHER_WORDS, ""}
    if all(word in known for word in words) and len(set(words)) == len(words):
        return words
    column = _file_column(rows, is_file) if len(rows) > 1 else None
    numeric = any(word.isdecimal() for word in words)
    is_heading = column is not None and not numeric and column < len(words) and not is_file(rows[0][1][column].strip())
    return words if is_heading else []


def _columns(
    rows: Sequence[tuple[int, list[str]]], heading: Sequence[str], is_file: Callable[[str], bool], path: str | Path
) -> tuple[int, int]:
    """The columns of file and class. Raises DatasetError where they cannot be told apart."""
    width = len(rows[0][1])
    label = next((heading.index(word) for word in _CLASS_WORDS if word in heading), None)
    file = _file_column(rows, is_file)
    if file is None:
        file = next((heading.index(word) for word in _PATH_WORDS if word in heading), None)
    left = [i for i in range(width) if i not in (file, label)]
    if label is None and len(left) > 1 and _is_index(rows, left[0]) and left[0] == 0:
        left = left[1:]
    if file is None:
        file, left = left[0], left[1:]
    if label is None and len(left) == 2 and _are_numbers(rows, left[0]) and file < left[0]:
        left = left[1:]  # how many frames there are, before the class
    if label is None and len(left) == 1:
        label = left[0]
    if label is None:
        raise DatasetError(
            f"{path} has {width} columns, and which of them is the class cannot be told (line {rows[0][0]}: "
            f"{' | '.join(rows[0][1])!r}); a first line such as path,class names them."
        )
    return file, label


def _are_numbers(rows: Sequence[tuple[int, list[str]]], column: int) -> bool:
    return all(cells[column].strip().isdecimal() for _, cells in rows)


def _is_index(rows: Sequence[tuple[int, list[str]]], column: int) -> bool:
    """Whether a column counts the lines."""
    if not _are_numbers(rows, column):
        return False
    numbers = [int(cells[column]) for _, cells in rows]
    return numbers[0] in (0, 1) and all(after == before + 1 for before, after in pairwise(numbers))
