"""The page's benchmark measures what happens on the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from benchmarks import page as benchmark
from tests.browser.steps import state, wait_for_viewer

pytestmark = pytest.mark.browser


def test_clicks_uploads_and_drawing_are_measured(visit: Callable[..., Page], address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    assert "earth_rotates" in benchmark.examples(page)
    (click,) = benchmark.clicks(page, ["earth_rotates"], repeats=1)
    assert page.locator("#explorer h1").text_content() == "earth_rotates.mp4"
    (upload,) = benchmark.uploads(page, ["cockatoo_moves_right"], repeats=1)
    assert str(page.locator("#explorer h1").text_content()).endswith("0_of_mine.mp4")
    (drawing,) = benchmark.hovering(page)
    assert state(page)["overlays"]["weights"] is True
    assert min(click, upload, drawing) > 0
