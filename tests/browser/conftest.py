"""The page, served by the process of the tests, and windows of a Chromium to visit it with.

With SIFA_SCREENSHOTS=FOLDER the tests leave a picture of every step there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from app.service import Service
from sifa_core import load_model
from sifa_core.data.mp4 import write_mp4
from sifa_core.models import VideoModel
from tests.browser.steps import settle
from tests.browser.windows import Window, Windows
from tests.serving import served
from tests.small_models import save_with_offsets


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of one's own with offsets of about a cell, so that every place looks somewhere of its own.

    Its class names are what a hostile checkpoint may call them.
    """
    label = "${7*7} {{7*7}} <img src=x onerror=document.title=1> ‏שלום"
    return save_with_offsets(tmp_path_factory.mktemp("weights") / "random.safetensors", label)


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> VideoModel:
    return load_model(checkpoint)


@pytest.fixture(scope="session")
def service(model: VideoModel) -> Service:
    """What the page at `address` asks: an example is analysed once for all tests."""
    return Service(model, compare=["sifa_net_tiny"])


@pytest.fixture(scope="session")
def address(service: Service) -> Iterator[str]:
    with served(service) as page:
        yield page.address


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """serve(model, *compare) serves the page of another model until the test ends, and returns its address."""
    with ExitStack() as pages:

        def start(model: VideoModel, *compare: str) -> str:
            return pages.enter_context(served(Service(model, compare=compare))).address

        yield start


@pytest.fixture(scope="session")
def windows(browser: Browser) -> Windows:
    return Windows(browser)


@pytest.fixture
def visited(windows: Windows, serve: Callable[..., str]) -> Iterator[list[Window]]:
    """The windows that the test has opened; they are left before the servers of `serve` end.

    In the end no request may have gone to another host, and nothing may have been reported to the console.
    """
    visited: list[Window] = []
    yield visited
    for window in visited:
        windows.give_back(window)
    for window in visited:
        assert window.foreign_hosts() == set()
        assert window.complaints == []


@pytest.fixture
def visit(windows: Windows, visited: list[Window]) -> Callable[..., Page]:
    """visit(address, size, scheme) opens the page in a window of its own."""

    def open_page(address: str, size: str = "desktop", scheme: str = "light") -> Page:
        visited.append(windows.take(size))
        return visited[-1].open(address, scheme)

    return open_page


@pytest.fixture
def quiet(visited: list[Window]) -> Callable[[Page], None]:
    """quiet(page) returns once all that the page has asked its server is answered."""

    def wait(page: Page) -> None:
        (window,) = (window for window in visited if window.page is page)
        screens = 0
        while screens < 10:  # an answer may make the page ask for more, some screens later
            settle(page)
            screens = 0 if window.unanswered else screens + 1

    return wait


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
