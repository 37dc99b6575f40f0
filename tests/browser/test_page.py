"""The page in a real browser: examples, queries by mouse, touch and keyboard, uploads, errors, downloads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Photograph = Callable[[Page, str], None]

LABEL = "${7*7} {{7*7}} <img src=x onerror=document.title=1> ‏שלום"
"""Beginning of every class name of the checkpoint that is served; see conftest.py."""

LOOKS = [(size, scheme) for size in ("desktop", "phone") for scheme in ("light", "dark")]


def figure(page: Page) -> bytes:
    """The bytes of Figure 5 as it is shown now."""
    page.locator("#figure img").wait_for()
    return _bytes(page, "#figure img")


def _bytes(page: Page, selector: str) -> bytes:
    source = page.locator(selector).get_attribute("src")
    assert source
    return page.request.get(source).body()


def changed_figure(page: Page, before: bytes) -> bytes:
    """Figure 5 once it is another one than `before`."""
    for _ in range(200):
        now = figure(page)
        if now != before:
            return now
        page.wait_for_timeout(100)
    raise AssertionError("Figure 5 did not change")


def open_example(page: Page, name: str) -> bytes:
    """Open an example and return its first Figure 5."""
    page.locator(f'#examples button[data-name="{name}"]').click()
    expect(page.locator("#status .name")).to_have_text(f"{name}.mp4")
    return figure(page)


def ask(page: Page, x: float, y: float, touch: bool) -> None:
    """Click or tap the frame at a share of its width and height."""
    picture = page.locator("#picture img")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box
    place = {"x": box["width"] * x, "y": box["height"] * y}
    if touch:
        picture.tap(position=place)
    else:
        picture.click(position=place)


def number(page: Page, selector: str) -> float:
    return float(page.locator(f"{selector} input").input_value())


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pick_an_example_and_ask_twice(
    visit: Visit, address: str, photograph: Photograph, size: str, scheme: str
) -> None:
    page, touch = visit(address, size, scheme), size == "phone"
    first = figure(page)  # the page is never empty: the first example is shown
    expect(page.locator("#masthead .badge")).to_have_text("own")
    expect(page.locator("#predictions li")).to_have_count(5)
    photograph(page, "opened")
    own = open_example(page, "person_walks_left_close")
    assert own != first
    expect(page.locator('#examples button[aria-pressed="true"]')).to_have_attribute(
        "data-name", "person_walks_left_close"
    )
    # The frame has 640 x 360 pixels, however large it is shown.
    ask(page, 0.2, 0.5, touch)
    once = changed_figure(page, own)
    assert number(page, "#query-x") == pytest.approx(0.2 * 640, abs=2)
    assert number(page, "#query-y") == pytest.approx(0.5 * 360, abs=2)
    ask(page, 0.7, 0.25, touch)
    twice = changed_figure(page, once)
    assert number(page, "#query-x") == pytest.approx(0.7 * 640, abs=2)
    assert number(page, "#query-y") == pytest.approx(0.25 * 360, abs=2)
    assert len({first, own, once, twice}) == 4
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("window.innerWidth"), "the page must not scroll sideways"
    photograph(page, "asked")


def test_everything_by_keyboard(visit: Visit, address: str) -> None:
    page = visit(address)
    shown = figure(page)
    button = page.locator('#examples button[data-name="cockatoo_moves_right"]')
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#status .name")).to_have_text("cockatoo_moves_right.mp4")
    expect(button).to_be_focused()
    shown = changed_figure(page, shown)
    for selector, value in (("#query-x", "321"), ("#query-y", "123")):
        page.locator(f"{selector} input").focus()
        page.keyboard.press("Control+A")
        page.keyboard.type(value)
        shown = changed_figure(page, shown)
        page.wait_for_timeout(1500)  # what was asked for while typing is drawn first
        shown = figure(page)
    frame = page.locator("#frame input[type=number]")
    frame.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("0")
    shown = changed_figure(page, shown)
    page.locator('#layer input[value="res4.0"]').focus()
    page.keyboard.press("Space")
    expect(page.locator("#statistics tr.current th")).to_have_text("res4.0")
    shown = changed_figure(page, shown)
    expect(page.locator("#levels label")).to_have_text(["9"])  # res4.0 is the first of its stage
    assert (number(page, "#query-x"), number(page, "#query-y")) == (321, 123)


def test_a_place_outside_is_told_and_the_figure_stays(visit: Visit, address: str) -> None:
    page = visit(address)
    open_example(page, "earth_rotates")
    shown = figure(page)
    field = page.locator("#query-x input")
    field.fill("9999")
    expect(page.get_by_role("alert")).to_have_text(
        f"The point (9999, {number(page, '#query-y'):g}) is outside the clip, which has 480 x 270 pixels."
    )
    assert figure(page) == shown
    field.fill("40")
    changed_figure(page, shown)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_upload_a_clip_then_a_text_file(
    visit: Visit, address: str, photograph: Photograph, own_clip: Path, tmp_path: Path, size: str, scheme: str
) -> None:
    page = visit(address, size, scheme)
    first = figure(page)
    page.locator("#upload input[type=file]").set_input_files(own_clip)
    expect(page.locator("#status .name")).to_contain_text("square.mp4")
    shown = changed_figure(page, first)
    expect(page.locator('#examples button[aria-pressed="true"]')).to_have_count(0)
    ask(page, 0.3, 0.5, size == "phone")
    shown = changed_figure(page, shown)
    assert number(page, "#query-x") == pytest.approx(0.3 * 320, abs=2)

    text = tmp_path / "words.mp4"
    text.write_text("These are words, not pictures.")
    page.locator("#upload input[type=file]").set_input_files(text)
    expect(page.get_by_role("alert")).to_contain_text("words.mp4 is not a video")
    photograph(page, "error")
    assert figure(page) == shown
    # The former clip is not only still shown, it still answers.
    ask(page, 0.8, 0.8, size == "phone")
    changed_figure(page, shown)
    expect(page.locator("#status .name")).to_contain_text("square.mp4")


def test_names_of_files_and_classes_are_text_and_nothing_else(
    visit: Visit, address: str, own_clip: Path, tmp_path: Path
) -> None:
    name = "${7*7} <img src=x onerror=document.title=1> {{7*7}} שלום 🐦.mp4"
    nasty = tmp_path / name
    nasty.write_bytes(own_clip.read_bytes())
    page = visit(address)
    shown = figure(page)
    page.locator("#upload input[type=file]").set_input_files(nasty)
    changed_figure(page, shown)
    said = page.locator("#status .name").inner_text()
    assert said.endswith("שלום 🐦.mp4")
    assert "49" not in said
    for label in page.locator("#predictions .label").all_inner_texts():
        assert re.fullmatch(re.escape(LABEL) + r" \d+", label)
    expect(page.locator("#status img, #predictions img")).to_have_count(0)
    assert page.title() == "SIFA Explorer"


def test_take_the_analysis_away(visit: Visit, address: str, tmp_path: Path) -> None:
    page = visit(address)
    open_example(page, "earth_rotates")
    page.locator("#query-x input").fill("111")
    changed_figure(page, figure(page))
    starts = {"png": b"\x89PNG", "json": b"{", "html": b"<!"}
    for kind, start in starts.items():
        with page.expect_download() as download:
            page.locator(f"#save-{kind}").click()
        assert download.value.suggested_filename == f"sifa_earth_rotates.{kind}"
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.read_bytes().startswith(start)
    assert json.loads((tmp_path / "sifa_earth_rotates.json").read_text())["query"]["x"] == 111


def test_two_visitors_do_not_see_each_other(visit: Visit, address: str, own_clip: Path) -> None:
    one, other = visit(address), visit(address)
    open_example(one, "earth_rotates")
    earth = figure(one)
    figure(other)
    other.locator("#upload input[type=file]").set_input_files(own_clip)
    expect(other.locator("#status .name")).to_contain_text("square.mp4")
    assert figure(one) == earth
    ask(one, 0.1, 0.1, touch=False)
    changed_figure(one, earth)
    expect(one.locator("#status .name")).to_have_text("earth_rotates.mp4")
