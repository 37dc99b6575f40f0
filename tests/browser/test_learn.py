"""Learn, About, the charts and the films in a real browser: by mouse, keyboard and touch, with the API's numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Request, expect

from app.service import Service
from sifa_core import Analysis
from sifa_core.explain.studies.ablation import ablate
from sifa_core.explain.studies.equations import explain_equations
from tests.browser.steps import VIEWER, ask, open_example, pause, settle, wait_for_viewer

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Photograph = Callable[[Page, str], None]
EXAMPLE = "person_walks_left_close"
PLOTLY = 20_000
"""The first chart waits for Plotly, which is several megabytes of script; milliseconds."""
ASKED = "{t: 1, x: 140, y: 140, layer: 'res4.1', levels: 1}"


@pytest.fixture(scope="module")
def analysis(service: Service) -> Analysis:
    """What the server makes of the example."""
    return service.analysis(service.open_example(EXAMPLE))


def open_lesson(page: Page) -> None:
    wait_for_viewer(page)
    open_example(page, EXAMPLE)
    page.evaluate(f"{VIEWER}.viewer.setState({ASKED})")
    page.locator("#to-learn").click()
    expect(page.locator("#learn .place")).to_contain_text("(140, 140) in frame 1")


def numbers_of(page: Page, row: int) -> list[float]:
    """The numbers in a row of the table of channels, as written."""
    cells = page.locator("#learn .channels tbody tr").nth(row).locator("td:not(.lead)").all_text_contents()
    return [float(cell.replace("−", "-")) for cell in cells]


def weights_of(page: Page, matrix: int) -> list[float]:
    """The numbers in one of the k x k matrices."""
    cells = page.locator("#learn .taps").nth(matrix).locator("td").all_text_contents()
    return [float(cell.replace("−", "-")) for cell in cells]


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_step_through_the_equations(visit: Visit, address: str, photograph: Photograph, size: str, scheme: str) -> None:
    page = visit(address, size, scheme)
    open_lesson(page)
    titles = []
    for number in range(1, 8):
        expect(page.locator("#learn .about")).to_have_text(f"Equation {number} of 7")
        expect(page.locator('#learn .steps [aria-current="step"] b')).to_have_text(str(number))
        titles.append(page.locator("#learn .step h2").text_content())
        assert page.locator("#learn .formula math").bounding_box()["height"] > 20
        assert page.locator("#learn .pictures svg").count() >= 1
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        photograph(page, f"equation_{number}")
        forward = page.get_by_role("button", name="Next ›")
        if number < 7:
            forward.tap() if size == "phone" else forward.click()
    assert len(set(titles)) == 7
    expect(forward).to_be_disabled()
    page.locator("#learn .steps button").nth(2).click()
    expect(page.locator("#learn .about")).to_have_text("Equation 3 of 7")


def test_keys(visit: Visit, address: str) -> None:
    page = visit(address)
    open_lesson(page)
    heading = page.locator("#learn .about")
    page.locator("#learn .step h2").click()
    for key, number in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 7), ("4", 4), ("Home", 1)):
        page.keyboard.press(key)
        expect(heading).to_have_text(f"Equation {number} of 7")
    page.locator("#to-learn").focus()
    page.keyboard.press("ArrowRight")  # belongs to the row of tabs
    expect(page.locator("#to-about")).to_be_focused()


def test_the_numbers_are_those_of_the_api(visit: Visit, address: str, analysis: Analysis) -> None:
    page = visit(address)
    open_lesson(page)
    steps = explain_equations(analysis, (1, 140, 140), "res4.1")
    weights = weights_of(page, 0)
    np.testing.assert_allclose(weights, steps.regular.weights, rtol=0.006, atol=6e-5)  # three digits are shown

    page.locator("#learn .steps button").nth(3).click()
    channels = steps.largest_channels(steps.difference, 8)
    shown = [int(text) for text in page.locator("#learn .channels thead th").all_text_contents()[1:]]
    assert shown == channels.tolist()
    for row, values in enumerate((steps.following, steps.query, steps.difference)):
        np.testing.assert_allclose(numbers_of(page, row), values[channels], rtol=0.006, atol=6e-5)

    page.locator("#learn .steps button").nth(6).click()
    weights = [
        float(text.replace("−", "-")) for text in page.locator("#learn .taps").nth(1).locator("td").all_text_contents()
    ]
    np.testing.assert_allclose(weights, steps.deformed.weights, rtol=0.006, atol=6e-5)
    channels = steps.largest_channels(steps.gated, 8)
    last = page.locator("#learn .channels tbody tr").count() - 1
    np.testing.assert_allclose(numbers_of(page, last), steps.output[channels], rtol=0.006, atol=6e-5)


def test_a_click_into_a_picture_asks_there(visit: Visit, address: str) -> None:
    page = visit(address)
    open_lesson(page)
    page.locator("#learn .steps button").nth(1).click()
    title = page.locator("#learn h2").first.text_content()
    picture = page.locator("#learn svg.frame").first
    box, view = picture.bounding_box(), picture.get_attribute("viewBox")
    assert box
    assert view
    left, top, width, height = map(float, view.split())
    picture.click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    x, y = left + 0.75 * width, top + 0.25 * height
    expect(page.locator("#learn .place")).to_contain_text(re.compile(r"Your query \((?!140, 140)"))
    place = page.locator("#learn .place").text_content() or ""
    told = [int(number) for number in re.findall(r"\d+", place)[:2]]
    assert told == [pytest.approx(x, abs=4), pytest.approx(y, abs=4)]
    state = page.evaluate(f"{VIEWER}.viewer.getState()")
    assert (state["x"], state["y"]) == (pytest.approx(x, abs=4), pytest.approx(y, abs=4))
    assert page.locator("#learn h2").first.text_content() == title, "the equation stays"


def test_switch_parts_off(visit: Visit, address: str, photograph: Photograph, analysis: Analysis) -> None:
    page = visit(address)
    open_lesson(page)
    for part in ("offsets", "attention"):
        page.locator(f'#learn [data-part="{part}"]').click()
        rows = page.locator("#learn .bars tr")
        expect(rows.first).to_be_visible()
        expect(page.locator(f'#learn [data-part="{part}"]')).to_have_attribute("aria-pressed", "true")
        after = dict(ablate(analysis, part).predictions)
        for row in range(rows.count()):
            label = rows.nth(row).locator("th").text_content()
            said = rows.nth(row).locator("td").last.text_content().split("→")[1]
            assert float(said.strip(" %")) == pytest.approx(100 * after[label], abs=0.51)
    photograph(page, "without attention")
    page.locator("#learn .where select").select_option("here")
    expect(page.locator("#learn .outcome .says")).to_contain_text("The 9 points")
    page.locator('#learn [data-part="attention"]').click()
    expect(page.locator("#learn .bars")).to_have_count(0)


def test_the_last_of_hasty_switches_is_answered(visit: Visit, address: str, analysis: Analysis) -> None:
    page = visit(address)
    open_lesson(page)
    page.evaluate(
        "for (const part of ['offsets', 'attention']) document.querySelector(`#learn [data-part=${part}]`).click()"
    )
    row = page.locator("#learn .bars tr").first
    expect(row).to_be_visible()
    expect(page.locator('#learn [aria-pressed="true"]')).to_have_attribute("data-part", "attention")
    after = dict(ablate(analysis, "attention").predictions)[row.locator("th").text_content() or ""]
    said = (row.locator("td").last.text_content() or "").split("→")[1]
    assert float(said.strip(" %")) == pytest.approx(100 * after, abs=0.51)


def test_the_last_of_hasty_clicks_into_a_picture_is_shown(visit: Visit, address: str) -> None:
    page = visit(address)
    open_lesson(page)
    page.locator("#learn .steps button").nth(1).click()
    page.locator("#learn svg.frame").first.evaluate(
        """(picture) => {
          const box = picture.getBoundingClientRect();
          for (const share of [0.2, 0.4, 0.8]) {
            const at = {clientX: box.x + share * box.width, clientY: box.y + share * box.height};
            picture.dispatchEvent(new MouseEvent('click', {bubbles: true, ...at}));
          }
        }"""
    )
    state = page.evaluate(f"{VIEWER}.viewer.getState()")
    expect(page.locator("#learn .place")).to_contain_text(f"({state['x']:.0f}, {state['y']:.0f})")


def test_another_clip_brings_other_numbers(visit: Visit, address: str) -> None:
    page = visit(address)
    open_lesson(page)
    page.locator("#learn .steps button").nth(6).click()
    before = page.locator("#learn .taps").first.text_content()
    page.locator('#examples button[data-name="earth_rotates"]').click()
    expect(page.locator("#learn .taps").first).not_to_have_text(before or "")
    expect(page.locator("#learn .about")).to_have_text("Equation 7 of 7")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_charts_follow_the_query_and_hovering_asks_for_nothing(
    visit: Visit, address: str, photograph: Photograph, size: str
) -> None:
    page = visit(address, size)
    wait_for_viewer(page)
    page.evaluate(f"{VIEWER}.viewer.setState({ASKED})")
    page.locator("#charts summary").click()
    first = page.locator("#chart-matrix .heatmap-label").first
    expect(first).to_be_visible(timeout=PLOTLY)
    expect(page.locator("#chart-predictions text").filter(has_text="<img src=x").first).to_be_visible()
    before = first.text_content()
    ask(page, 0.8, 0.7, touch=size == "phone")
    expect(first).not_to_have_text(before or "")
    pause(page)
    # The address has changed since, which must not take the bars away.
    assert (
        page.locator("#chart-predictions .bars path").first.evaluate("(bar) => getComputedStyle(bar).clipPath")
        == "none"
    )
    photograph(page, "charts")
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.startswith("http"):
            asked.append(request.url)

    page.on("request", note)
    if size == "desktop":
        page.locator("#explorer .screen.here").hover(position={"x": 40, "y": 40})
        settle(page)
        pause(page)
        assert asked == []


def test_about(visit: Visit, address: str, photograph: Photograph) -> None:
    page = visit(address, "phone")
    wait_for_viewer(page)
    page.locator("#to-about").tap()
    expect(page.locator("#about-chart .scatterlayer .trace").first).to_be_attached(timeout=PLOTLY)
    expect(page.locator("#about .chips li").first).to_contain_text("<img src=x onerror=document.title=1>")
    assert page.locator("#about img").count() == 0
    assert page.title() == "SIFA Explorer"
    page.get_by_label("Something-Something V2").check()
    expect(page.locator("#about-chart .gtitle")).to_contain_text("Something-Something V2, Table 4")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    photograph(page, "about")


def test_films_are_saved(visit: Visit, address: str, tmp_path: Path) -> None:
    page = visit(address, "phone")
    wait_for_viewer(page)
    page.evaluate(f"{VIEWER}.viewer.setState({{t: 2, layer: 'res4.1', levels: 1}})")
    for kind, start in (("svg", b"<?xml"), ("gif", b"GIF89a"), ("mp4", b"\0\0\0\x20ftyp")):
        with page.expect_download() as download:
            page.locator(f"#save-{kind}").tap()
        download.value.save_as(tmp_path / "file")
        assert (tmp_path / "file").read_bytes().startswith(start)
        assert download.value.suggested_filename == f"sifa_{EXAMPLE}.{kind}"
