"""The exported page on screens of every width, light and dark: nothing is cut off, nothing overlaps."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_fits_the_screen_in_both_schemes(open_page, scheme: str, width: int, height: int) -> None:
    page = open_page(width=width, height=height, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.querySelector('.sifa-viewer')).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128
    assert light == (scheme == "light")
    other = "dark" if scheme == "light" else "light"
    page.evaluate(f"document.querySelector('.sifa-viewer').dataset.theme = '{other}'")
    assert page.evaluate("getComputedStyle(document.querySelector('.sifa-viewer')).backgroundColor") != background
    boxes = [page.locator(pane).bounding_box() for pane in (".here", ".there")]
    assert all(box and box["width"] > 0.45 * min(width, 1000) for box in boxes)
    assert (boxes[0]["y"] == boxes[1]["y"]) == (width > 700)


@pytest.mark.parametrize("width", [1440, 1240, 1000, 720, 390])
def test_nothing_overlaps_in_the_controls(open_page, width: int) -> None:
    page = open_page(width=width)
    for name in ("weights", "saliency", "evidence", "grid"):
        page.evaluate(f"document.querySelector('.sifa-viewer').viewer.setState({{ overlays: {{ {name}: true }} }})")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    overflowing = page.evaluate(
        """() => [...document.querySelectorAll(".group, .overlay label, .overlay .legend, .statistics div, .strongest")]
          .filter((node) => node.scrollWidth > node.clientWidth + 1)
          .map((node) => `${node.className} ${node.textContent}`)"""
    )
    assert overflowing == []
