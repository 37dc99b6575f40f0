"""The page as a process of its own, and a Chromium to visit it with.

With SIFA_SCREENSHOTS=FOLDER the tests leave a picture of every step there.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from sifa_core.data.mp4 import write_mp4
from tests.small_models import save_with_offsets

REPOSITORY = Path(__file__).resolve().parents[2]
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of one's own with offsets of about a cell, so that every place looks somewhere of its own.

    Its class names are what a hostile checkpoint may call them.
    """
    label = "${7*7} {{7*7}} <img src=x onerror=document.title=1> ‏שלום"
    return save_with_offsets(tmp_path_factory.mktemp("weights") / "random.safetensors", label)


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """serve(*options) starts `python app/main.py` on a free port and returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = tmp_path_factory.mktemp("server") / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "app/main.py", "--port", str(port), "--device", "cpu", *options],
                cwd=REPOSITORY,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        running.append(process)
        deadline = time.monotonic() + 90
        while f"http://127.0.0.1:{port}" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The server did not start:\n{log.read_text()}")
            time.sleep(0.1)
        return f"http://127.0.0.1:{port}/"

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def address(serve: Callable[..., str], checkpoint: Path) -> str:
    return serve("--model", str(checkpoint), "--compare", "sifa_net_tiny")


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """visit(address, size, scheme) opens the page.

    In the end no request may have gone to another host, and nothing may have been reported to the console.
    """
    pages: list[tuple[str, Page, list[str], list[str]]] = []

    def open_page(address: str, size: str = "desktop", scheme: str = "light") -> Page:
        width, height = SIZES[size]
        touch = size == "phone"
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch, is_mobile=touch
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        requests: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda asked: requests.append(asked.url))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        pages.append((address, page, requests, complaints))
        page.goto(address)
        return page

    yield open_page
    for address, page, requests, complaints in pages:
        page.context.close()
        hosts = {urlsplit(url).netloc for url in requests if urlsplit(url).scheme not in ("data", "blob")}
        assert hosts == {urlsplit(address).netloc}
        assert complaints == []


@pytest.fixture
def photograph(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """photograph(page, step) saves a picture of the page if SIFA_SCREENSHOTS names a folder."""
    folder = os.environ.get("SIFA_SCREENSHOTS")

    def take(page: Page, step: str) -> None:
        if folder:
            name = re.sub(r"\W+", "_", f"{request.node.name}_{step}").strip("_")
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return take


@pytest.fixture(scope="session")
def own_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of a bright square that moves right over a dark gradient."""
    path = tmp_path_factory.mktemp("clips") / "my square.mp4"
    width, height, frames = 320, 240, 24
    ground = np.linspace(20, 90, width, dtype=np.uint8)[None, :, None].repeat(height, 0).repeat(3, 2)
    pictures = ground[None].repeat(frames, 0)
    for number, picture in enumerate(pictures):
        picture[90:150, 20 + 9 * number : 80 + 9 * number] = (240, 200, 40)
    write_mp4(path, pictures, 24)
    return path
