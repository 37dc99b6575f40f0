"""Files of class names: text or JSON, with or without numbers and a heading."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sifa_core.data.datasets.base import DatasetError

_HEADINGS = frozenset(
    [
        "label",
        "labels",
        "class",
        "classes",
        "name",
        "names",
        "category",
        "categories",
        "class_name",
        "label_name",
        "classname",
        "labelname",
    ]
)


@dataclass(frozen=True)
class Names:
    """Class names in order, and where each of them stands."""

    labels: tuple[str, ...]
    first: int = 0
    """The number of the first class, 0 or 1, in the file's own counting and in that of lists that go with it."""
    places: tuple[str, ...] = ()
    """Where each name was read, for messages, e.g. "line 3 of labels.txt"."""

    def place(self, number: int) -> str:
        """ "line 3 of labels.txt ('left')" for class `number`, counted from 0."""
        where = self.places[number] if number < len(self.places) else "the class names"
        return f"{where} ({self.labels[number]!r})"


def normal(name: str) -> str:
    """A name as it is stored: composed Unicode, single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def comparable(name: str) -> str:
    """A name as it is compared: without the brackets that Something-Something puts around its placeholders."""
    return normal(re.sub(r"[\[\]]", "", name))


def read_text(path: str | Path, what: str) -> str:
    """Raises DatasetError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The {what} {path} cannot be read as text (UTF-8 is expected).") from error


def read_json(path: str | Path, what: str) -> Any:
    """Raises DatasetError."""
    try:
        return json.loads(read_text(path, what))
    except json.JSONDecodeError as error:
        raise DatasetError(f"The {what} {path} is not valid JSON: {error.msg} in line {error.lineno}.") from error


def read_names(path: str | Path) -> Names:
    """Class names from a file.

    Text: one name a line, after or before a number if every line has one ("1 left", "left,0"), with or without a
    heading. JSON: a list of names, {name: number}, {number: name}, either of them as "label2id" or "id2label" of a
    larger file, or a list of {"id", "name"}. Numbers count from 0 or from 1 without a gap.
    Raises DatasetError.
    """
    where = f"The label file {path}"
    if Path(path).suffix.lower() == ".json":
        rows = _json_rows(read_json(path, "label file"), where)
        places = [f"entry {i + 1} of {Path(path).name}" for i in range(len(rows))]
    else:
        lines = [(i, line.strip()) for i, line in enumerate(read_text(path, "label file").split("\n"), 1)]
        numbered, lines = _text_rows([(i, line) for i, line in lines if line])
        rows, places = numbered, [f"line {i} of {Path(path).name}" for i, _ in lines]
    if not rows:
        raise DatasetError(f"{where} names no class.")
    first = 0
    if all(number is not None for number, _ in rows):
        order = sorted(range(len(rows)), key=lambda i: int(rows[i][0] or 0))
        numbers = [int(rows[i][0] or 0) for i in order]
        first = numbers[0]
        for expected, i in enumerate(order, first):
            if first not in (0, 1) or rows[i][0] != expected:
                raise DatasetError(
                    f"{where} does not number its classes 0, 1, 2, ... or 1, 2, 3, ...: "
                    f"{places[i]} has {rows[i][0]} for {rows[i][1]!r}."
                )
        rows, places = [rows[i] for i in order], [places[i] for i in order]
    return checked_names([name for _, name in rows], first, places, where)


def checked_names(names: Iterable[str], first: int, places: Sequence[str], where: str) -> Names:
    """Names of which no two are the same. Raises DatasetError."""
    labels = tuple(normal(name) for name in names)
    seen: dict[str, int] = {}
    for i, label in enumerate(labels):
        if not label:
            raise DatasetError(f"{where} has an empty name: {places[i] if places else f'number {i}'}.")
        before = seen.setdefault(comparable(label), i)
        if before != i:
            both = f" ({places[before]} and {places[i]})" if places else ""
            raise DatasetError(f"{where} names the class {label!r} twice{both}.")
    return Names(labels, first, tuple(places))


_FIRST = re.compile(r'"?(\d{1,9})"?\s*[,;:\t ]\s*(.+)')
_LAST = re.compile(r'(.+?)\s*[,;:\t ]\s*"?(\d{1,9})"?')


def _text_rows(lines: list[tuple[int, str]]) -> tuple[list[tuple[int | None, str]], list[tuple[int, str]]]:
    """(number, name) of each line, and the lines that they come from. A heading is left out."""
    for pattern, number, name in ((_FIRST, 1, 2), (_LAST, 2, 1)):
        matches = [pattern.fullmatch(line) for _, line in lines]
        body = matches[1:] if len(matches) > 1 and matches[0] is None else matches
        found = [match for match in body if match]
        numbers = sorted(int(match[number]) for match in found)
        # Names may begin or end with a number of their own; only a gapless count is one.
        if body and len(found) == len(body) and numbers[0] in (0, 1) and len(set(numbers)) == len(numbers):
            return [(int(match[number]), _unquoted(match[name])) for match in found], lines[len(lines) - len(body) :]
    if len(lines) > 1 and _unquoted(lines[0][1]).lower().replace(" ", "_") in _HEADINGS:
        lines = lines[1:]
    return [(None, _unquoted(line)) for _, line in lines], lines


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return next(csv.reader([text]))[0]
    return text


def _json_rows(content: Any, where: str) -> list[tuple[int | None, str]]:
    if isinstance(content, dict):
        for key in ("id2label", "label2id"):
            if isinstance(content.get(key), dict | list):
                content = content[key]
                break
    if isinstance(content, dict):
        keys, values = list(content), [str(value) for value in content.values()]
        by_number = all(key.isdecimal() for key in keys) and not all(value.isdecimal() for value in values)
        pairs = list(zip(keys, values, strict=True)) if by_number else list(zip(values, keys, strict=True))
        for number, name in pairs:
            if not number.isdecimal():
                raise DatasetError(
                    f"{where} does not number its classes 0, 1, 2, ... or 1, 2, 3, ...: {name!r} has {number!r}."
                )
        return [(int(number), name) for number, name in pairs]
    if isinstance(content, list) and content and all(isinstance(entry, dict) for entry in content):
        try:
            return [(int(entry["id"]), str(entry["name"])) for entry in content]
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{where} has an entry without id and name.") from error
    if isinstance(content, list) and all(isinstance(entry, str | int) for entry in content):
        return [(None, str(name)) for name in content]
    raise DatasetError(f"{where} is neither a list of names nor names with numbers.")
