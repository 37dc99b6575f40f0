"""Many visitors of one page at once: whether everybody gets their own answer, how long it takes, and what it leaves.

    python -m benchmarks.load [--visitors 20] [--seconds 600] [--clips 24] [--seed 0]
    python -m benchmarks.load --flood [--seconds 120]

Serves a page and makes `--clips` small videos, each unlike the others. Every visitor sends one of them and asks for
what it shows, for an explanation, or opens it on the page and downloads its numbers or a figure; then again, until the
time is over. Each answer is compared with that of the same clip before anybody else was there. Prints the numbers of
right and wrong answers, seconds of waiting (median, 95th percentile), and the server's memory before, after a third of
the time, and in the end. With `--flood` three such visitors ask alone for half of the time, and beside one address that
sends as much as it is let for the other half. A wrong answer ends the run with 1.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.served import Page, resident, served_page
from benchmarks.visitor import RefusedError, Visitor
from sifa_core.data.mp4 import write_mp4

SIZES = ((96, 64), (160, 120), (320, 180), (640, 360))
QUERY = {"frame": 1, "x": 40, "y": 30}
FLOOD_THREADS = 4
Check = Callable[[Visitor, "Sample"], None]


class WrongError(Exception):
    """An answer that is not that of the clip."""


@dataclass
class Sample:
    """One clip, and what is answered when nobody else is there."""

    path: Path
    sha256: str
    predictions: Any = None
    points: Any = None


@dataclass
class Tally:
    """What came of the requests; used from several threads."""

    right: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str, visitor: Visitor, sample: Sample) -> None:
        """Have one request made and count it."""
        started = time.monotonic()
        sentence, is_wrong = "", False
        try:
            CHECKS[name](visitor, sample)
        except RefusedError as refusal:
            sentence, is_wrong = str(refusal), refusal.status not in (429, 503)
        except Exception as error:
            sentence, is_wrong = f"{type(error).__name__}: {error}", True
        took = time.monotonic() - started
        with self.lock:
            if is_wrong:
                self.wrong.append(f"{name} of {sample.path.name}: {sentence}")
            elif sentence:
                self.refused[sentence] += 1
            else:
                self.right[name] += 1
                self.seconds.append(took)

    def percentile(self, percent: float) -> float:
        """Seconds that so many of a hundred right answers took at most."""
        return float(np.percentile(self.seconds, percent)) if self.seconds else float("nan")


def predict(visitor: Visitor, sample: Sample) -> None:
    """Upload and ask what it shows."""
    answer = visitor.call("predict", clip=visitor.upload(sample.path))
    _expect(answer["clip"]["sha256"] == sample.sha256, "the clip of somebody else")
    sample.predictions = sample.predictions or answer["predictions"]
    _expect(answer["predictions"] == sample.predictions, "other predictions than before")


def explain(visitor: Visitor, sample: Sample) -> None:
    """Upload and ask where a query looks."""
    answer = visitor.call("explain", clip=visitor.upload(sample.path), **QUERY)
    _expect(answer["clip"]["sha256"] == sample.sha256, "the clip of somebody else")
    points = {name: value for name, value in answer.items() if name not in ("clip", "model")}
    sample.points = sample.points or points
    _expect(points == sample.points, "another explanation than before")


def download(kind: str) -> Check:
    """Open a clip on the page and save it as `kind`."""

    def check(visitor: Visitor, sample: Sample) -> None:
        opened = visitor.call("open_clip", clip=visitor.upload(sample.path))
        file = visitor.call("export", token=opened["token"], kind=kind)
        content = base64.b64decode(file["data"])
        _expect(sample.path.stem.replace(" ", "_") in file["name"], "a file of somebody else")
        if kind == "json":
            _expect(sample.sha256 in json.dumps(json.loads(content)), "numbers of somebody else")
        else:
            _expect(len(content) > 1000, "no file")

    return check


CHECKS: dict[str, Check] = {
    "predict": predict,
    "explain": explain,
    "numbers": download("json"),
    "figure": download("png"),
}
MIX = ("predict", "predict", "explain", "explain", "numbers", "figure")


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise WrongError(otherwise)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=20, metavar="N", help="at once (default 20)")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S", help="of load (default 600)")
    parser.add_argument("--clips", type=int, default=24, metavar="N", help="that are sent (default 24)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of who asks for what (default 0)")
    parser.add_argument("--flood", action="store_true", help="three visitors beside one who sends without end")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, served_page({"SIFA_PROXIES": "1"}) as page:
        samples = make_samples(Path(folder), options.clips)
        first = Tally()
        for sample in samples:
            for name in ("predict", "explain"):
                _once(page, name, sample, first)
        if first.wrong:
            raise SystemExit("\n".join(first.wrong))
        lines, wrong = (flooded if options.flood else loaded)(page, samples, options)
    print("\n".join([*lines, *wrong]))
    return 1 if wrong else 0


def _once(page: Page, name: str, sample: Sample, tally: Tally) -> None:
    visitor = Visitor(page.address)
    tally.take(name, visitor, sample)
    visitor.close()


def loaded(page: Page, samples: list[Sample], options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The report of a run, and what was wrong."""
    before = resident(page.process)
    tally = Tally()
    sizes: list[tuple[float, int]] = []
    started = time.monotonic()
    run(page, samples, tally, options.visitors, options.seconds, options.seed, sizes)
    took = time.monotonic() - started
    after = [size for when, size in sizes if when > options.seconds / 3]
    answered = sum(tally.right.values())
    return [
        f"{answered} right answers in {took:.0f} s: {_listed(tally.right)}; wrong: {len(tally.wrong)}",
        *(f"told to come back ({number}): {sentence}" for sentence, number in tally.refused.most_common(3)),
        f"seconds: median {tally.percentile(50):.1f}, 95th percentile {tally.percentile(95):.1f}",
        f"memory of the server: {before / 1e6:,.0f} MB before, {after[0] / 1e6:,.0f} MB after a third of the time, "
        f"{after[-1] / 1e6:,.0f} MB in the end, {max(size for _, size in sizes) / 1e6:,.0f} MB at most",
        f"of its last two thirds: mean of the first half {statistics.mean(_half(after, 0)) / 1e6:,.0f} MB, of the "
        f"second {statistics.mean(_half(after, 1)) / 1e6:,.0f} MB",
    ], tally.wrong


def flooded(page: Page, samples: list[Sample], options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The report of three visitors without and with a flood, and what was wrong."""
    alone, beside = Tally(), Tally()
    run(page, samples, alone, 3, options.seconds / 2, options.seed)
    stop = threading.Event()
    sent: Counter[str] = Counter()
    floods = [threading.Thread(target=flood, args=(page, samples, stop, sent)) for _ in range(FLOOD_THREADS)]
    for one in floods:
        one.start()
    run(page, samples, beside, 3, options.seconds / 2, options.seed + 1)
    stop.set()
    for one in floods:
        one.join()
    ratio = beside.percentile(95) / alone.percentile(95)
    return [
        f"{name}: {sum(tally.right.values())} right answers, median {tally.percentile(50):.1f} s, 95th percentile "
        f"{tally.percentile(95):.1f} s, told to come back: {sum(tally.refused.values())}"
        for name, tally in (("three visitors alone", alone), ("beside a flood", beside))
    ] + [f"the flood: {_listed(sent)}", f"95th percentile: {ratio:.2f} times as long"], alone.wrong + beside.wrong


def flood(page: Page, samples: list[Sample], stop: threading.Event, sent: Counter[str]) -> None:
    """From one address, ask again and again without waiting for answers, each time as another session."""
    asking = Visitor(page.address, "203.0.113.1")
    files = [asking.upload(sample.path) for sample in samples[:4]]
    while not stop.is_set():
        try:
            asking.ask("predict", clip=random.choice(files))
            sent["begun"] += 1
        except RefusedError as refusal:
            sent[f"refused ({refusal.status})"] += 1
    asking.close()


def run(
    page: Page,
    samples: list[Sample],
    tally: Tally,
    visitors: int,
    seconds: float,
    seed: int,
    sizes: list[tuple[float, int]] | None = None,
) -> None:
    """Have `visitors` ask for `seconds`, each from an address of its own; the server's memory goes to `sizes`."""
    started = time.monotonic()

    def visit(number: int) -> None:
        source = random.Random(1000 * seed + number)
        while time.monotonic() < started + seconds:
            visitor = Visitor(page.address, f"198.51.100.{number + 1}")
            for _ in range(source.randrange(1, 5)):  # then somebody else comes
                tally.take(source.choice(MIX), visitor, source.choice(samples))
                if time.monotonic() > started + seconds:
                    break
            visitor.close()

    with ThreadPoolExecutor(visitors) as pool:
        work = [pool.submit(visit, number) for number in range(visitors)]
        while not all(each.done() for each in work):
            if sizes is not None:
                sizes.append((time.monotonic() - started, resident(page.process)))
            time.sleep(0.5)
        for each in work:
            each.result()


def make_samples(folder: Path, count: int) -> list[Sample]:
    """Videos of a bar, each of another brightness, speed, size and length."""
    samples = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        pictures = np.full((24 + 8 * (number % 5), height, width, 3), 30, np.uint8)
        for time_, picture in enumerate(pictures):
            left = time_ * (1 + number % 4) * width // 96 % (width - width // 8)
            picture[:, left : left + width // 8] = 90 + 160 * number // count
        path = folder / f"clip {number}.mp4"
        write_mp4(path, pictures, 16)
        samples.append(Sample(path, hashlib.sha256(path.read_bytes()).hexdigest()))
    return samples


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common()) or "none"


def _half(values: list[int], which: int) -> list[int]:
    middle = max(1, len(values) // 2)
    return (values[:middle], values[middle:] or values)[which]


if __name__ == "__main__":
    sys.exit(main())
