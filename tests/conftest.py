"""What tests of several folders share: one Chromium for everything that is looked at in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch_browser(playwright: Playwright) -> Browser:
    """The system's Chromium, or the one that Playwright has installed."""
    for candidate in [*map(shutil.which, NAMES), playwright.chromium.executable_path]:
        if candidate and Path(candidate).exists():
            return playwright.chromium.launch(executable_path=candidate, args=FLAGS)
    pytest.fail(f"The browser tests need one of {', '.join(NAMES)}; install it, or run: playwright install chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch_browser(playwright)
        yield browser
        browser.close()
