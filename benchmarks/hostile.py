"""Whether files made to do harm can harm the page: sends them to one that is served, and watches it from outside.

    python -m benchmarks.hostile [--files 200] [--exhausting 1] [--first-seed 0] [--clients 2] [--seconds 600]
    python -m benchmarks.hostile --only-read [...]
    python -m benchmarks.hostile --cost [--files 100]

Starts the page, sends `--files` videos that were damaged as chance has it (one seed each) and `--exhausting` files of
each kind that is made to exhaust, to its endpoint `predict`, from several clients at once, a good video in between.
Prints how many answers of each sort came, how long the slowest took, and the memory of the server, beyond what it had
once its examples were analysed, and of its other processes. What is not a right answer or one sentence is listed, with
its seed, and ends the run with 1. With `--only-read` there is no page, and files are read as it reads them, which takes
a fraction of the time. After `--seconds` nothing more is sent. `--cost` reads good clips in turns in this process and
in one of their own, and prints what the second costs. The files are those of tests/data/hostile.py.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.served import Watch, resident, served_page, watched
from benchmarks.visitor import Visitor
from sifa_core.data import Limits
from sifa_core.data.isolated import Readers, WorkerLimits
from sifa_core.paths import EXAMPLE_CLIPS
from tests.data import hostile

SIZES = {
    "profile.png": 1000,
    "profile.mov": 1000,
    "profile.avi": 1000,
    "text.png": 1000,
    "text_in_every_frame.mov": 200,
    "compressed_header.mov": 1000,
    "forged_samples.mp4": 100,
    "free_boxes.mp4": 20_000,
    "falling_chapters.mkv": 200,
    "empty_packets.mkv": 1000,
    "long_and_thin.mov": 300,
}
"""Size of each kind, see `EXHAUSTING`."""
CONTAINERS = {"mp4": "mp4", "mov": "mov", "avi": "avi", "mkv": "matroska", "mpg": "mpegts"}
GOOD_EVERY = 20
Predict = Callable[[Path], Any]
"""A file -> an answer. Raises whatever it is told instead."""
ALLOWANCE = 2.0
"""Seconds that an answer may take beyond the limit of reading, and beyond a good file's own time."""


@dataclass
class Answers:
    """What came of the files."""

    sorts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_name: str = ""
    wrong: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=200, metavar="N", help="damaged files (default 200)")
    parser.add_argument("--exhausting", type=int, default=1, metavar="N", help="files of each kind (default 1)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="of the damaged files (default 0)")
    parser.add_argument("--clients", type=int, default=2, metavar="N", help="that send at once (default 2)")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="S", help="until the last is sent")
    parser.add_argument("--only-read", action="store_true", help="without a page")
    parser.add_argument("--cost", action="store_true", help="what a process for each file costs")
    options = parser.parse_args(arguments)
    if options.cost:
        print(cost(options.files))
        return 0
    with tempfile.TemporaryDirectory() as folder, reading() if options.only_read else served() as (process, predict):
        good = Path(folder) / "good.mp4"
        good.write_bytes(hostile.plain(48))
        expected, seconds = ask(predict, good)
        if not isinstance(expected, dict):
            raise SystemExit(f"the good file got no answer: {expected}")
        idle = resident(process)
        answers = Answers()
        end = time.monotonic() + options.seconds
        with watched(process) as watch, ThreadPoolExecutor(options.clients) as pool:
            # As many at a time as there are clients: what is not begun when the time is over is not sent.
            todo = itertools.takewhile(lambda job: time.monotonic() < end, jobs(options))
            while batch := list(itertools.islice(todo, 8 * options.clients)):
                for name, sort, answer, took in pool.map(lambda job: send(predict, Path(folder), good, *job), batch):
                    count(answers, name, sort, answer, took, expected)
    print(report(answers, watch, idle, seconds))
    return 1 if answers.wrong else 0


def jobs(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """(sort, kind, seed or size) of each file."""
    exhausting = [("exhausting", name, size) for name, size in SIZES.items()] * options.exhausting
    for number in range(options.files):
        kind = list(CONTAINERS)[number % len(CONTAINERS)]
        yield "damaged", kind, options.first_seed + number
        if number % GOOD_EVERY == 0:
            yield "good", "mp4", 0
        if exhausting and number % max(1, options.files // len(exhausting)) == 0:
            yield exhausting.pop()
    yield from exhausting
    yield "good", "mp4", 0


def send(predict: Predict, folder: Path, good: Path, sort: str, kind: str, number: int) -> tuple[str, str, Any, float]:
    """Make a file, send it, remove it: its name, sort, the answer, and the seconds until that came."""
    if sort == "good":
        return ("good.mp4", sort, *ask(predict, good))
    if sort == "damaged":
        path = folder / f"seed_{number}.{kind}"
        path.write_bytes(hostile.mutated(hostile.plain(24, CONTAINERS[kind]), number))
    else:
        path = folder / f"{threading.get_ident()}_{kind}"
        path.write_bytes(hostile.EXHAUSTING[kind](number))
    try:
        return (path.name, sort, *ask(predict, path))
    finally:
        path.unlink()


def ask(predict: Predict, path: Path) -> tuple[Any, float]:
    """What `predict` says of a file: a dictionary, or the sentence of an error; and the seconds it took."""
    started = time.monotonic()
    try:
        answer: Any = predict(path)
    except Exception as error:
        answer = str(error)
    return answer, time.monotonic() - started


def count(answers: Answers, name: str, sort: str, answer: Any, took: float, expected: dict[str, Any]) -> None:
    """Add one answer."""
    if took > answers.slowest:
        answers.slowest, answers.slowest_name = took, name
    if isinstance(answer, dict):
        answers.sorts[f"{sort}: answered"] += 1
        if sort == "good" and answer["predictions"] != expected["predictions"]:
            answers.wrong.append(f"{name}: another answer than before")
    elif sort != "good" and answer.endswith(".") and "\n" not in answer and "Traceback" not in answer:
        answers.sorts[f"{sort}: refused in a sentence"] += 1
    else:
        answers.sorts[f"{sort}: wrong"] += 1
        answers.wrong.append(f"{name}: {answer}")


def report(answers: Answers, watch: Watch, idle: int, seconds: float) -> str:
    """The run in lines."""
    limit = Limits().max_decode_seconds
    lines = [f"{sort}: {number}" for sort, number in sorted(answers.sorts.items())]
    late = "" if answers.slowest <= limit + seconds + ALLOWANCE else ", MORE THAN IT MAY TAKE"
    own = f"server: {idle / 1e6:,.0f} MB before, at most {(watch.server - idle) / 1e6:,.0f} MB more"
    lines += [
        f"slowest answer: {answers.slowest:.1f} s ({answers.slowest_name}; limit of reading {limit:g} s){late}",
        # Without a page, this process has the memory of the files that it makes as well.
        *([own] if watch.process != os.getpid() else []),
        f"largest other process: {watch.other / 1e6:,.0f} MB (limit {WorkerLimits().memory_bytes / 1e6:,.0f} MB beyond "
        "what it has at its start)",
        *answers.wrong,
    ]
    return "\n".join(lines)


@contextmanager
def reading() -> Iterator[tuple[int, Predict]]:
    """This process, and the reading of a file as the page does it."""
    readers = Readers()

    def predict(path: Path) -> dict[str, Any]:
        found = readers.read_video(path, max_short_side=360, max_bytes=12_000_000, view_short_side=256)
        return {"predictions": [zlib.crc32(each.frames) for each in (found.clip, *found.views)]}

    yield os.getpid(), predict
    readers.close()


@contextmanager
def served() -> Iterator[tuple[int, Predict]]:
    """A page in a process of its own, whose examples are analysed: its number, and its endpoint."""
    with served_page() as page:

        def predict(path: Path) -> Any:
            visitor = Visitor(page.address)  # one for each file
            try:
                return visitor.call("predict", clip=visitor.upload(path))
            finally:
                visitor.close()

        yield page.process, predict


def cost(times: int) -> str:
    """Reading each of the example clips as the page does, here and in a process of its own, in turns."""
    isolated, here = Readers(), Readers(isolate=False)
    took: dict[str, list[float]] = {"in this process": [], "in one of its own": []}
    clips = sorted(EXAMPLE_CLIPS.glob("*.mp4"))
    for number in range(-1, times):  # the first round warms up
        for name, readers in zip(took, (here, isolated), strict=True):
            started = time.perf_counter()
            readers.read_video(
                clips[number % len(clips)], max_short_side=360, max_bytes=12_000_000, view_short_side=256
            )
            if number >= 0:
                took[name].append(time.perf_counter() - started)
    isolated.close()
    one, other = took.values()
    more = statistics.median(b - a for a, b in zip(one, other, strict=True))
    middles = ", ".join(f"{name} {1000 * statistics.median(seconds):.1f} ms" for name, seconds in took.items())
    return f"{times} clips, median: {middles}; of the differences: {1000 * more:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
