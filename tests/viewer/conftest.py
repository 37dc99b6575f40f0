"""An exported page of a small analysis with hostile names, and a Chromium that looks at it from disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from sifa_core.data import Clip
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.models.checkpoint import untrained_model
from tests.payloads import page_of
from tests.small_models import give_offsets

HOSTILE_NAME = "${7*7}<img src=x onerror=alert(1)>\"'🎬\u202egpj.mp4"
HOSTILE_LABEL = "<b>bold</b> {{x}} ${1+1} & שלום"


@pytest.fixture(scope="session")
def analysis() -> Explanation:
    """The tiny model with random offsets, made to look trained, on a square that moves over a textured ground."""
    model = give_offsets(untrained_model("sifa_net_tiny").eval(), seed=5)
    labels = (HOSTILE_LABEL, *(f"class {number}" for number in range(1, 15)))
    with torch.no_grad():
        model.fc.bias[0] += 5  # the hostile label is predicted
    model.info = dataclasses.replace(
        model.info, status="own", labels=labels, source="own.safetensors", sha256="5a" * 32
    )
    frames = np.repeat(np.random.default_rng(0).integers(0, 120, (1, 180, 250, 3), dtype=np.uint8), 16, axis=0)
    for t in range(16):
        frames[t, 60:110, 10 + 11 * t : 60 + 11 * t] = (250, 240, 90)
    return analyze(model, Clip.from_array(frames, fps=25, name=HOSTILE_NAME))


@pytest.fixture(scope="session")
def exported(analysis: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "export.html"
    path.write_text(page_of(analysis, query=(1, 100, 90)), encoding="utf-8")
    return path


Opener = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, exported: Path) -> Iterator[Opener]:
    """Opens the exported file from disk. At the end: no request left the page, nothing was logged, nothing failed."""
    contexts = []
    complaints: list[str] = []

    def opener(path: Path = exported, width: int = 1440, height: int = 900, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: note(request.url))
        page.goto(path.as_uri())
        page.evaluate("document.querySelector('.sifa-viewer').viewer.ready")
        settle(page)
        return page

    def note(url: str) -> None:
        if not url.startswith(("data:", "blob:", "file:///")) or (
            url.startswith("file:") and not url.endswith(".html")
        ):
            complaints.append(f"request: {url}")

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []


def settle(page: Page) -> None:
    """Wait until what was asked for is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
