"""Whether files made to do harm can harm the page: sends them to one that is served, and watches it from outside.

    python -m benchmarks.hostile [--files 200] [--exhausting 1] [--first-seed 0] [--clients 2] [--only-read]

Starts the page, sends `--files` videos that were damaged as chance has it (one seed each) and `--exhausting` files of
each kind that is made to exhaust, to its endpoint `predict`, from several clients at once, a good video in between.
Prints how many answers of each sort came, how long the slowest took, and the memory of the server, beyond what it had
once its examples were analysed, and of its other processes. What is not a right answer or one sentence is listed, with
its seed, and ends the run with 1. With `--only-read` there is no page, and files are read as it reads them, which takes
a fraction of the time. The files are those of tests/data/hostile.py.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
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
class Watch:
    """Memory of a process and of all that descend from it, in bytes, looked at many times a second."""

    process: int
    server: int = 0
    """Most that the process itself had."""
    other: int = 0
    """Most that one of the others had."""
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until told to stop."""
        while not self.stop.wait(0.02):
            sizes = {number: resident(number) for number in family(self.process)}
            own = sizes.pop(self.process, 0)
            self.server = max(self.server, own)
            self.other = max([self.other, *sizes.values()])


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
    parser.add_argument("--only-read", action="store_true", help="without a page")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, reading() if options.only_read else served() as (process, predict):
        good = Path(folder) / "good.mp4"
        good.write_bytes(hostile.plain(48))
        expected, seconds = ask(predict, good)
        if not isinstance(expected, dict):
            raise SystemExit(f"the good file got no answer: {expected}")
        idle = resident(process)
        watch = Watch(process)
        watcher = threading.Thread(target=watch.run, daemon=True)
        watcher.start()
        answers = Answers()
        with ThreadPoolExecutor(options.clients) as pool:
            for name, sort, answer, took in pool.map(
                lambda job: send(predict, Path(folder), good, *job), list(jobs(options))
            ):
                count(answers, name, sort, answer, took, expected)
        watch.stop.set()
        watcher.join()
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
        clip, spread = readers.read_views(path, max_short_side=360, max_bytes=12_000_000, view_short_side=256)
        return {"predictions": [zlib.crc32(each.frames) for each in (clip, *spread)]}

    yield os.getpid(), predict
    readers.close()


@contextmanager
def served() -> Iterator[tuple[int, Predict]]:
    """A page in a process of its own, whose examples are analysed: its number, and its endpoint."""
    from gradio_client import Client, handle_file

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sifa_core", "app", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if not any("is ready at" in line for line in server.stdout):
            raise SystemExit("the page did not start")
        threading.Thread(target=server.stdout.read, daemon=True).start()
        address = f"http://127.0.0.1:{port}"
        client = Client(address, verbose=False)
        for clip in sorted(EXAMPLE_CLIPS.glob("*.mp4")):
            client.predict(None, clip.stem, None, None, None, "", None, api_name="/explain")
        # A client for each file, as of a visitor each.
        yield (
            server.pid,
            lambda path: Client(address, verbose=False).predict(handle_file(path), "", 5, api_name="/predict"),
        )
    finally:
        server.terminate()
        server.wait()


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    found = [process]
    for number in found:
        for tasks in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                found += [int(child) for child in tasks.read_text().split()]
            except OSError:
                continue  # it has ended
    return found


def resident(process: int) -> int:
    """Bytes in memory; 0 for a process that has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    sys.exit(main())
