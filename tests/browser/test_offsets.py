"""The Offsets tab in a real browser: its numbers, its cells by mouse, touch and keyboard, its words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from sifa_core import analyze, read_clip
from sifa_core.explain.analysis import Analysis
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from tests.browser.steps import state, wait_for_viewer

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Photograph = Callable[[Page, str], None]

CELLS = "#offset-matrix td button"


def open_tab(page: Page, name: str = "Offsets") -> None:
    page.locator(".tab-bar").get_by_role("tab", name=name, exact=True).click()


def wait_for_controls(page: Page) -> None:
    expect(page.locator(".card h3")).to_have_text(
        ["Original", "Frozen", "Reversed", "Shuffled", "Held"], timeout=60_000
    )
    expect(page.locator("#notice .busy")).to_have_count(0)


@pytest.fixture(scope="module")
def expected(model: VideoModel) -> Analysis:
    """What the page must show of the clip that it opens with."""
    return analyze(model, read_clip(EXAMPLE_CLIPS / "person_walks_left_close.mp4", 16))


def test_the_numbers_are_those_of_the_analysis(
    visit: Visit, address: str, photograph: Photograph, expected: Analysis
) -> None:
    page = visit(address + "?tab=offsets", "desktop", "dark")  # a link opens the tab
    wait_for_viewer(page)
    wait_for_controls(page)
    expect(page.locator("#to-offsets")).to_have_attribute("aria-selected", "true")
    for name, scale, digits in (("mean_magnitude", 1, 2), ("out_of_frame", 100, 0), ("attention_entropy", 100, 0)):
        page.locator(f'[data-measure="{name}"]').click()
        shown = [float(text) for text in page.locator(CELLS).all_inner_texts()]
        values = [float(v) for layer in expected.layers for v in getattr(expected.offset_statistics(layer), name)]
        assert shown == pytest.approx([round(scale * value, digits) for value in values], abs=1.01 * 10**-digits)
    page.locator('[data-measure="cosine"]').click()
    told = [text.replace("−", "-") for text in page.locator(CELLS).all_inner_texts()]
    cosines = [value for layer in expected.layers for value in expected.flow_agreement(layer).to_dict()["cosine"]]
    for text, value in zip(told, cosines, strict=True):
        assert text == "–" if value is None else float(text) == pytest.approx(value, abs=0.011)
    ends = page.locator(".legend .bar i").evaluate_all(
        "(parts) => parts.map((p) => getComputedStyle(p).backgroundColor)"
    )
    assert ends[0] != ends[-1], "along and against the motion have colours of their own"
    photograph(page, "cosine")
    fault = page.locator(".findings li.fault")
    assert fault.count() == sum(found.severity == "fault" for found in expected.warnings())
    changes = [control.change for control in expected.controls()]
    for card, change in zip(page.locator(".card .change b").all_inner_texts(), changes, strict=True):
        assert card.endswith("points")
        assert abs(int(card.split()[0].strip("+−±")) - abs(100 * change)) <= 1


def test_a_cell_opens_its_layer_and_frame(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    open_tab(page)
    cell = page.get_by_role("button", name="res4.0, frame 2 → 3")
    cell.click(timeout=60_000)
    expect(page.locator("#explorer .screen.here")).to_be_visible()
    assert (state(page)["layer"], state(page)["t"]) == ("res4.0", 2)
    expect(page.locator("#explorer .screen.here")).to_be_focused()
    assert "tab=" not in page.url
    open_tab(page)
    expect(cell).to_have_attribute("aria-current", "true")
    expect(page.locator("#offset-matrix [aria-current]")).to_have_count(1)


def test_by_keyboard(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    page.locator("#to-explore").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#to-offsets")).to_be_focused()
    page.locator(CELLS).first.wait_for(timeout=60_000)
    page.locator("#offset-matrix [data-measure]").last.focus()
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="res4.0, frame 0 → 1")).to_be_focused()
    page.keyboard.press("Enter")
    assert (state(page)["layer"], state(page)["t"]) == ("res4.0", 0)


def test_charts_follow_their_own_choice(visit: Visit, address: str, photograph: Photograph) -> None:
    page = visit(address)
    wait_for_viewer(page)
    open_tab(page)
    expect(page.locator("#offsets .js-plotly-plot")).to_have_count(2, timeout=60_000)
    longest = "() => document.querySelector('#offset-lengths .js-plotly-plot')._fullLayout.xaxis.range[1]"
    before = page.evaluate(longest)
    page.locator(".chooser select").first.select_option("res4.1")
    page.wait_for_function(f"(before) => ({longest})() !== before", arg=before)
    # By arrow key, choices come faster than charts.
    page.locator(".chooser select").last.evaluate(
        """(select) => {
          for (const t of [3, 0, 1]) {
            select.selectedIndex = t;
            select.dispatchEvent(new Event('change', {bubbles: true}));
          }
        }"""
    )
    for chart in ("lengths", "directions"):
        expect(page.locator(f"#offset-{chart} .gtitle")).to_contain_text("res4.1, 1 → 2")
    photograph(page, "charts")
    expect(page.locator("#explorer .sifa-viewer")).to_be_hidden()  # the viewer keeps its own layer
    assert state(page)["layer"] != "res4.1"


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark")])
def test_another_clip_fills_the_tab_anew(
    visit: Visit, address: str, photograph: Photograph, size: str, scheme: str
) -> None:
    page = visit(address, size, scheme)
    wait_for_viewer(page)
    open_tab(page)
    wait_for_controls(page)
    before = page.locator(CELLS).all_inner_texts()
    picture = page.locator(".card img").first.get_attribute("src")
    page.locator('#examples button[data-name="earth_rotates"]').click()
    expect(page.locator("#status .name")).to_have_text("earth_rotates.mp4")
    expect(page.locator(".card img").first).not_to_have_attribute("src", picture or "", timeout=60_000)
    wait_for_controls(page)
    assert page.locator(CELLS).all_inner_texts() != before
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("window.innerWidth"), "the page must not scroll sideways"
    photograph(page, "filled")
    page.get_by_role("button", name="res3.0, frame 2 → 3").tap()
    expect(page.locator("#explorer .screen.here")).to_be_visible()
    assert (state(page)["layer"], state(page)["t"]) == ("res3.0", 2)
