"""A page in a process of its own, and its memory as seen from outside. Linux only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx

from sifa_core.paths import EXAMPLE_CLIPS

READY = "is ready at"


class Page(NamedTuple):
    """Where a page is, and which process serves it."""

    address: str
    process: int


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


@contextmanager
def watched(process: int) -> Iterator[Watch]:
    """A watch that looks until the end of the `with` block."""
    watch = Watch(process)
    watcher = threading.Thread(target=watch.run, daemon=True)
    watcher.start()
    try:
        yield watch
    finally:
        watch.stop.set()
        watcher.join()


@contextmanager
def served_page(settings: dict[str, str] | None = None, command: Sequence[str] = ()) -> Iterator[Page]:
    """Serve a page, with variables of docs/hosting.md on top of the environment's, until the end of the `with` block.

    Its examples are analysed. `command` comes before the interpreter's own. Raises SystemExit if it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    whole = [*command, sys.executable, "-m", "sifa_core", "app", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "SIFA_LOG": "warning", **(settings or {})}
    server = subprocess.Popen(whole, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        if not any(READY in line for line in server.stdout):
            raise SystemExit("the page did not start")
        threading.Thread(target=server.stdout.read, daemon=True).start()
        page = Page(f"http://127.0.0.1:{port}", server.pid)
        with httpx.Client(base_url=page.address, timeout=600) as client:
            for clip in sorted(EXAMPLE_CLIPS.glob("*.mp4")):
                call = client.post("/gradio_api/call/v2/explain", json={"example": clip.stem}).json()
                client.get(f"/gradio_api/call/explain/{call['event_id']}")
        yield page
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
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
