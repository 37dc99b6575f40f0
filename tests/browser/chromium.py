"""Starts the Chromium that everything looked at in a browser is looked at with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

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
PATIENCE_MS = 60_000
"""How long an expectation may take to come true: on a busy machine, behind a server that analyses examples ahead."""


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The system's Chromium, or the one that Playwright has installed."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        for candidate in [*map(shutil.which, NAMES), playwright.chromium.executable_path]:
            if candidate and Path(candidate).exists():
                browser = playwright.chromium.launch(executable_path=candidate, args=FLAGS)
                yield browser
                browser.close()
                return
        pytest.fail(
            f"The browser tests need one of {', '.join(NAMES)}; install it, or run: playwright install chromium"
        )
