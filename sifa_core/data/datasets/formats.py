"""Reads the annotation of video data sets: which file has which class. Nothing is decoded here.

Each reader gives a `Listing`; class names that a file leaves open come from `names` or from the entries.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sifa_core.data.datasets.base import DatasetError
from sifa_core.data.datasets.names import Names, comparable, normal, read_json, read_text
from sifa_core.data.datasets.tables import list_rows, read_table
from sifa_core.data.endings import is_litter, is_picture, is_video, natural_key

KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end")


@dataclass(frozen=True)
class Entry:
    """One video: a file, or a folder of frames, and its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class Listing:
    """What an annotation says."""

    entries: list[Entry]
    labels: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """One sentence for each kind of thing that is there and was not taken."""

    def table(self) -> str:
        """Classes, how many videos each has, its first and last one, and what was left out; for people to check."""
        found: dict[int, list[Path]] = {}
        for entry in self.entries:
            found.setdefault(entry.label, []).append(entry.path)
        width = max(map(len, self.labels))
        lines = [f"{len(self.entries)} videos of {len(found)} classes"]
        for number, label in enumerate(self.labels):
            videos = found.get(number, [])
            some = "  ".join(dict.fromkeys(path.name for path in (*videos[:1], *videos[-1:])))
            lines.append(f"{number:5d}  {label:{width}}  {len(videos):7d}  {some}".rstrip())
        return "\n".join([*lines, *(f"left out: {sentence}" for sentence in self.left_out)])


@dataclass(frozen=True)
class _Labelled:
    """A video and what the annotation calls its class."""

    path: Path
    label: str
    place: str
    """Where it says so, e.g. "line 3 of train.csv"."""


def _numbered(rows: Sequence[_Labelled], names: Names | None, source: str | Path, left_out: Sequence[str]) -> Listing:
    """Class texts to numbers. Texts that are all whole numbers count as numbers already. Raises DatasetError."""
    if not rows:
        raise DatasetError(f"{source} lists no video. {' '.join(left_out)}".strip())
    texts = {row.label for row in rows}
    if names is None and all(text.isdecimal() for text in texts):
        names = Names(tuple(f"class {number}" for number in range(max(map(int, texts)) + 1)))
    elif names is None:
        # Of names that are the same when compared, the first one that was met is shown.
        spellings = {comparable(row.label): normal(row.label) for row in reversed(rows)}
        names = Names(tuple(sorted(spellings.values())))
    numbers = {comparable(name): number for number, name in enumerate(names.labels)}
    return Listing([_entry(row, names, numbers) for row in rows], names.labels, tuple(left_out))


def _entry(row: _Labelled, names: Names, numbers: dict[str, int]) -> Entry:
    number = numbers.get(comparable(row.label))
    if number is not None:
        return Entry(row.path, number)
    count = len(names.labels)
    if row.label.isdecimal():
        if 0 <= int(row.label) - names.first < count:
            return Entry(row.path, int(row.label) - names.first)
        end = -1 if int(row.label) > names.first else 0
        raise DatasetError(
            f"The class {row.label!r} of {row.path.name} ({row.place}) is none of the {count} known ones, which are "
            f"numbered {names.first} to {names.first + count - 1}: {names.place(count - 1 if end else 0)} is the "
            f"{'last' if end else 'first'} of them. If the list counts from {1 if end else 0}, number the names so."
        )
    raise DatasetError(
        f"The class {row.label!r} of {row.path.name} ({row.place}) is none of the {count} known ones, "
        f"which begin with {names.place(0)}."
    )


def read_list(path: str | Path, root: str | Path = "", names: Names | None = None) -> Listing:
    """A Kinetics CSV (label, youtube_id, time_start, time_end, split) or a list of files and classes, see `tables`.

    Raises DatasetError.
    """
    _no_database(path, root)
    text, base = read_text(path, "list"), Path(root or Path(path).parent)
    lines = read_table(text)
    header = [cell.strip() for cell in next(csv.reader([lines[0][1]]), [])] if lines else []
    if all(column in header for column in KINETICS_COLUMNS):
        return _read_kinetics(lines, header, base, path, names)
    rows = list_rows(text, path, lambda cell: bool(cell) and (base / cell).exists())
    name = Path(path).name
    return _numbered(
        [_Labelled(base / row.file, row.label, f"line {row.line} of {name}") for row in rows], names, path, ()
    )


def _read_kinetics(
    lines: Sequence[tuple[int, str]], header: Sequence[str], base: Path, source: str | Path, names: Names | None
) -> Listing:
    """Kinetics names its files by identifier and whole seconds; they lie anywhere below `base`."""
    files: dict[str, list[Path]] = {}
    for file in _videos_below(base):
        files.setdefault(file.stem, []).append(file)
    rows, missing = [], 0
    for number, line in lines[1:]:
        row = dict(zip(header, next(csv.reader([line])), strict=False))
        place = f"line {number} of {Path(source).name}"
        try:
            stem = f"{row['youtube_id']}_{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}"
        except (KeyError, ValueError, OverflowError) as error:
            raise DatasetError(f"{source} has a row without start and end time in seconds ({place}): {row}.") from error
        split = row.get("split", "").strip() or Path(source).stem
        found = sorted(files.get(stem, []), key=lambda file: (not _in_split(file, base, split), str(file)))
        missing += not found
        rows.append(_Labelled(found[0] if found else base / f"{stem}.mp4", row["label"], place))
    gone = [f"{missing} of {len(rows)} videos of {Path(source).name} are not there."] if missing else []
    return _numbered(rows, names, source, gone)


def _in_split(file: Path, base: Path, split: str) -> bool:
    """Whether a folder between `base` and the file is named for the split; "val" and "validate" are the same."""
    return any(part[:3] == split[:3] for part in (base.name, *file.relative_to(base).parts[:-1]))


def _videos_below(base: Path) -> Iterator[Path]:
    for folder, inside, files in os.walk(base):
        inside[:] = sorted(name for name in inside if not is_litter(name))
        yield from (Path(folder, name) for name in sorted(files) if is_video(name) and not is_litter(name))


def read_folders(path: str | Path, root: str | Path = "", names: Names | None = None) -> Listing:
    """A folder per class; below it videos, or folders of frames. Raises DatasetError."""
    base = Path(root) / path
    if not base.is_dir():
        raise DatasetError(f"There is no folder {base}.")
    _no_database(base, "")
    left_out: Counter[str] = Counter()
    rows, empty = [], []
    for folder in sorted(base.iterdir(), key=lambda item: natural_key(item.name)):
        if is_litter(folder.name) or not folder.is_dir():
            left_out[f"litter or hidden ({folder.name})" if is_litter(folder.name) else "beside the folders"] += 1
            continue
        found = list(_clips_of_class(folder, left_out))
        rows += [_Labelled(clip, folder.name, str(clip.parent)) for clip in found]
        empty += [] if found else [folder.name]
    sentences = [f"{count} with the reason: {reason}." for reason, count in sorted(left_out.items())]
    sentences += [f"The folder {name!r} holds no video, so it is no class." for name in empty]
    return _numbered(rows, names, base, sentences)


def _clips_of_class(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Videos and folders of frames below a class's folder."""
    for place, inside, files in os.walk(folder):
        hidden = [name for name in (*inside, *files) if is_litter(name)]
        left_out.update(f"litter or hidden ({name})" for name in hidden)
        inside[:] = sorted((name for name in inside if not is_litter(name)), key=natural_key)
        files = sorted((name for name in files if not is_litter(name)), key=natural_key)
        videos = [name for name in files if is_video(name)]
        frames = [name for name in files if is_picture(name)]
        yield from (Path(place, name) for name in videos)
        if frames and not videos and Path(place) != folder:
            yield Path(place)
        elif frames:
            left_out["single pictures"] += len(frames)
        left_out.update(
            f"unknown ending {Path(name).suffix!r}" for name in files if not is_video(name) and not is_picture(name)
        )


def read_something_v1(path: str | Path, root: str | Path = "", names: Names | None = None) -> Listing:
    """Lines "identifier;class name"; `root` holds a folder of JPEG frames for each identifier. Raises DatasetError."""
    _no_database(path, root)
    base = _inner(Path(root or Path(path).parent), "20bn-something-something-v1")
    rows = []
    for number, line in read_table(read_text(path, "list")):
        identifier, mark, label = line.partition(";")
        if not mark or not label.strip() or not identifier.strip():
            raise DatasetError(f"Line {number} of {path} is not of the form identifier;class.")
        if number == 1 and identifier.strip().lower() in ("id", "video_id", "video", "name"):
            continue
        place = f"line {number} of {Path(path).name}"
        rows.append(_Labelled(base / identifier.strip(), label.strip().strip('"'), place))
    return _numbered(rows, names, path, ())


def read_something_v2(path: str | Path, root: str | Path = "", names: Names | None = None) -> Listing:
    """A JSON list of {"id", "template"}; `root` holds id.webm. Brackets in a template are dropped. DatasetError."""
    _no_database(path, root)
    base = _inner(Path(root or Path(path).parent), "20bn-something-something-v2")
    content = read_json(path, "annotation file")
    if not isinstance(content, list):
        raise DatasetError(f"The annotation file {path} is not a list of entries with id and template.")
    rows = []
    for number, entry in enumerate(content, 1):
        template = entry.get("template") or entry.get("label") if isinstance(entry, dict) else None
        if not template or "id" not in entry:
            raise DatasetError(f"The annotation file {path} has an entry without id or template: {entry}.")
        place = f"entry {number} of {Path(path).name}"
        rows.append(_Labelled(base / f"{entry['id']}.webm", comparable(str(template)), place))
    return _numbered(rows, names, path, ())


def _inner(base: Path, name: str) -> Path:
    """The folder that the download unpacks to, where `base` holds it."""
    return base / name if (base / name).is_dir() else base


def _no_database(*places: str | Path) -> None:
    for place in map(Path, filter(None, map(str, places))):
        if place.suffix in (".mdb", ".lmdb") or (place / "data.mdb").exists():
            raise DatasetError(
                f"{place} is an LMDB database, which is not read here: write its clips out as video files, or as a "
                "folder of frames for each, with a list of path and class."
            )


READERS: dict[str, Callable[[str | Path, str | Path, Names | None], Listing]] = {
    "list": read_list,
    "folders": read_folders,
    "something_v1": read_something_v1,
    "something_v2": read_something_v2,
}
"""Format -> reader of (file or folder, root, class names)."""
