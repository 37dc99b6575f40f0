"""How long the page makes a person wait on this machine, beside what it is meant to take.

    python -m benchmarks.page

Starts the page as `sifa app` does and visits it with Chromium, as the browser tests do. Every figure is the median of
several; the fastest stands beside it, since other work on the machine makes everything slower.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, expect

from app.service import Service
from sifa_core import load_model
from sifa_core.paths import EXAMPLE_CLIPS
from tests.browser.chromium import open_browser
from tests.browser.steps import VIEWER, open_example, settle, wait_for_viewer

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
MOVES = 60
"""Steps of the mouse over a frame."""
COUNT_DRAWING = """
() => {
  const real = window.requestAnimationFrame;
  window.spent = [];
  window.requestAnimationFrame = (draw) => real((now) => {
    const start = performance.now();
    draw(now);
    window.spent.push((performance.now() - start) / 1000);
  });
}
"""


class Figure(NamedTuple):
    """One row of the table; all in seconds."""

    what: str
    goal: float
    took: Sequence[float]

    @property
    def is_met(self) -> bool:
        return statistics.median(self.took) <= self.goal


def main() -> None:
    """Measure everything and print the table."""
    starts: list[float] = []
    for _ in range(2):
        with serving(starts):
            pass
    with serving(starts) as address, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        wait_for_viewer(page)
        names = examples(page)
        for name in names:  # analysed ahead by now, or by this
            open_example(page, name)
        figures = [
            Figure("model ready: from the command to the address that it serves", 6.0, starts),
            Figure("example file to all that the page shows of it, in the server", 1.5, page_data(names)),
            Figure("click on an example to its viewer", 1.0, clicks(page, names)),
            Figure("upload of an example's file to its viewer", 2.5, uploads(page, names)),
            Figure("drawing after a move of the mouse, 95 of 100", 0.016, hovering(page)),
        ]
    print(table(figures))


@contextmanager
def serving(starts: list[float]) -> Iterator[str]:
    """The page as a process of its own: its address. Adds to `starts` how long that took, in seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.perf_counter()
    command = [sys.executable, "-m", "sifa_core", "app", "--device", "cpu", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next((found[0] for line in process.stdout if (found := re.search(r"http://\S+", line))), None)
        if address is None:
            raise SystemExit("error: The page did not start; see above.")
        starts.append(time.perf_counter() - start)
        yield address
    finally:
        process.terminate()
        process.wait()


def examples(page: Page) -> list[str]:
    """Names of the page's examples."""
    names: list[str] = page.locator("#examples button").evaluate_all("(all) => all.map(({dataset}) => dataset.name)")
    return names


def timed(act: Callable[[], object]) -> float:
    """Seconds that `act` takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def page_data(names: Sequence[str]) -> list[float]:
    """Seconds from each example's file to its analysis and payload; what loads at the first one is left out."""
    model = load_model("sifa_net_tiny")
    Service(model).open_example(names[0])
    service = Service(model)
    return [timed(lambda name=name: service.open_example(name)) for name in names]  # type: ignore[misc]


def shown(page: Page, name: str) -> None:
    """Wait until a clip whose name ends so is drawn."""
    expect(page.locator("#explorer h1")).to_have_text(re.compile(re.escape(name) + "$"))
    wait_for_viewer(page)


def clicks(page: Page, names: Sequence[str], repeats: int = REPEATS) -> list[float]:
    """Seconds from a click on an example that the server has analysed to its picture; the names take turns."""

    def click(name: str) -> None:
        page.locator(f'#examples button[data-name="{name}"]').click()
        shown(page, f"{name}.mp4")

    turns = [names[i % len(names)] for i in range(repeats)]
    return [timed(lambda name=name: click(name)) for name in turns]  # type: ignore[misc]


def uploads(page: Page, names: Sequence[str], repeats: int = REPEATS) -> list[float]:
    """Seconds from the choice of a file to its picture. The server has never seen a file of that name."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats):
            name = names[number % len(names)]
            path = Path(folder) / f"{number}_of_mine.mp4"
            path.write_bytes((EXAMPLE_CLIPS / f"{name}.mp4").read_bytes())

            def upload(path: Path = path) -> None:
                page.locator("#upload input[type=file]").set_input_files(path)
                shown(page, path.name)

            took.append(timed(upload))
    return took


def hovering(page: Page) -> list[float]:
    """Seconds that the viewer draws after each move of the mouse over a frame: 95 of 100 take no longer."""
    page.evaluate(f"{VIEWER}.viewer.setState({{overlays: {{grid: true, arrows: true, weights: true}}}})")
    settle(page)
    box = page.locator("#explorer .screen.here").bounding_box()
    assert box is not None
    page.evaluate(COUNT_DRAWING)
    for step in range(MOVES):
        page.mouse.move(box["x"] + 20 + step * (box["width"] - 40) / MOVES, box["y"] + box["height"] / 2)
        settle(page)
    spent = sorted(page.evaluate("window.spent"))
    return [spent[int(0.95 * (len(spent) - 1))]]


def table(figures: Sequence[Figure]) -> str:
    """Rows of Markdown: what, its goal, the median and the fastest, and whether the median meets the goal."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    lines = [f"Load average {load}; seconds.", "", "| what | goal | median | fastest | |", "|---|---|---|---|---|"]
    for figure in figures:
        median, fastest = statistics.median(figure.took), min(figure.took)
        verdict = "met" if figure.is_met else "missed"
        lines.append(f"| {figure.what} | {figure.goal:g} | {median:.3g} | {fastest:.3g} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
