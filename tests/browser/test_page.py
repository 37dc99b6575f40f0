"""The page in a real browser: examples, queries by mouse, touch and keyboard, uploads, errors, visitors."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from app.service import Service
from tests.browser.steps import VIEWER, ask, open_example, pause, picture, settle, state, wait_for_clip, wait_for_viewer

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Photograph = Callable[[Page, str], None]

LABEL = "${7*7} {{7*7}} <img src=x onerror=document.title=1> ‏שלום"
"""Beginning of every class name of the checkpoint that is served; see conftest.py."""

LOOKS = [(size, scheme) for size in ("desktop", "phone") for scheme in ("light", "dark")]
FIGURE = ".figure canvas"


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pick_an_example_and_ask_twice(
    visit: Visit, address: str, photograph: Photograph, size: str, scheme: str
) -> None:
    page, touch = visit(address, size, scheme), size == "phone"
    wait_for_viewer(page)  # the page is never empty: the first example is shown
    first = picture(page, FIGURE)
    expect(page.locator("#masthead .badge")).to_have_text("own")
    expect(page.locator(".prediction-group li")).to_have_count(5)
    expect(page.locator(".prediction-group .whole")).to_contain_text("Whole video: ")
    photograph(page, "opened")
    open_example(page, "cockatoo_moves_right")
    chosen = page.locator('#examples button[aria-pressed="true"]')
    expect(chosen).to_have_attribute("data-name", "cockatoo_moves_right")
    own = picture(page, FIGURE)
    # The clip has 640 x 360 pixels, however large it is shown.
    ask(page, 0.2, 0.5, touch=touch)
    once = picture(page, FIGURE)
    assert state(page)["x"] == pytest.approx(0.2 * 640 - 0.5, abs=2)
    assert state(page)["y"] == pytest.approx(0.5 * 360 - 0.5, abs=2)
    ask(page, 0.7, 0.25, touch=touch)
    twice = picture(page, FIGURE)
    assert [(round(pin["x"] / 64), round(pin["y"] / 36)) for pin in state(page)["pins"]] == [(2, 5), (7, 2)]
    assert len({first, own, once, twice}) == 4
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("window.innerWidth"), "the page must not scroll sideways"
    photograph(page, "asked")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "dark"), ("phone", "light")])
def test_layout(visit: Visit, address: str, size: str, scheme: str) -> None:
    page = visit(address, size, scheme)
    wait_for_viewer(page)
    parts = (".screen.here", ".screen.there", ".filmstrip", ".query-group")
    boxes = [page.locator(f"#explorer {part}").bounding_box() for part in parts]
    assert None not in boxes
    here, there, _, query = boxes
    if size == "desktop":
        assert here["y"] == there["y"]
        assert query["y"] + query["height"] <= 900, "all that a query needs is on the screen at once"
    else:
        assert here["x"] == there["x"]
        assert here["y"] + here["height"] <= there["y"]
        assert there["y"] + there["height"] <= 844, "both panes are on the screen at once"
    for colour, element in (("backgroundColor", ".controls"), ("color", ".what")):
        shown = page.locator(f"#explorer {element}").first.evaluate(f"(node) => getComputedStyle(node).{colour}")
        is_bright = sum(map(int, re.findall(r"\d+", shown)[:3])) > 3 * 128
        assert is_bright == ((scheme == "light") == (colour == "backgroundColor"))
    for said_once in (".sifa-viewer h1", ".sifa-viewer .badge", ".sifa-viewer .download"):
        expect(page.locator(said_once)).to_be_hidden()


def test_panes_use_the_width_of_a_low_screen_and_no_words_are_cut(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    usual = page.viewport_size
    assert usual
    for width, height in ((1366, 650), (390, 844), (700, 650)):
        page.set_viewport_size({"width": width, "height": height})
        settle(page)
        here, there = (page.locator(f"#explorer .screen.{pane}").bounding_box() for pane in ("here", "there"))
        assert here
        assert there
        assert there["x"] + there["width"] - here["x"] >= 0.92 * width
        cut = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent)"
        assert page.locator("#explorer figcaption *, #explorer .prediction-group .note").evaluate_all(cut) == []
    page.set_viewport_size(usual)


def test_everything_by_keyboard(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    button = page.locator('#examples button[data-name="cockatoo_moves_right"]')
    button.focus()
    page.keyboard.press("Enter")
    wait_for_clip(page, "cockatoo_moves_right.mp4")
    expect(button).to_be_focused()
    shown = [picture(page, FIGURE)]
    for name, value in (("t", "0"), ("x", "321"), ("y", "123")):
        page.locator(f"#explorer .field-{name}").focus()
        page.keyboard.press("Control+A")
        page.keyboard.type(value)
        page.keyboard.press("Enter")
        shown.append(picture(page, FIGURE))
    assert len(set(shown)) == 4
    assert [state(page)[name] for name in "txy"] == [0, 321, 123]
    page.locator("#explorer .screen.here").focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["x"] > 321
    page.keyboard.press("l")
    assert (state(page)["layer"], state(page)["levels"]) == ("res4.0", 1), "the layer after the one shown first"
    expect(page.locator("#explorer .count")).to_contain_text("9 sampling points")
    page.keyboard.press("Enter")
    assert len(state(page)["pins"]) == 1


def test_tab_goes_through_the_page_from_top_to_bottom(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    page.locator("#examples button").first.focus()
    part = """() => ['#examples', '#upload', '#saves', '#explorer header', '#explorer .stage', '#explorer .filmstrip',
        '#explorer .query-group', '#explorer .layer-group', '#explorer .overlay-group']
        .find((part) => document.activeElement.closest(part)) ?? document.activeElement.outerHTML.slice(0, 80)"""
    visited = [page.evaluate(part)]
    while visited[-1] != "#explorer .overlay-group" and len(visited) < 50:
        page.keyboard.press("Tab")
        visited.append(page.evaluate(part))
    assert list(dict.fromkeys(visited)) == [
        "#examples",
        "#upload",
        "#saves",
        "#explorer header",
        "#explorer .stage",
        "#explorer .filmstrip",
        "#explorer .query-group",
        "#explorer .layer-group",
        "#explorer .overlay-group",
    ]


def test_looking_around_asks_the_server_for_nothing(visit: Visit, address: str, quiet: Callable[[Page], None]) -> None:
    page = visit(address)
    wait_for_viewer(page)
    quiet(page)  # once it is shown, the page still tells Gradio to forget what it sent
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.startswith("http"):
            asked.append(request.url)

    page.on("request", note)
    box = page.locator("#explorer .screen.here").bounding_box()
    assert box
    seen = {picture(page, ".there .marks")}
    for fraction in (0.2, 0.5, 0.8):
        page.mouse.move(box["x"] + fraction * box["width"], box["y"] + fraction * box["height"])
        seen.add(picture(page, ".there .marks"))
        x = float(page.locator("#explorer .field-x").input_value())
        assert x == pytest.approx(fraction * 640 - 0.5, abs=2)
    assert len(seen) == 4, "every place has points of its own"
    ask(page, 0.4, 0.4)
    page.keyboard.press("m")
    page.locator("#explorer .moment").nth(2).click()
    page.get_by_label("Layer", exact=True).locator("visible=true").last.select_option("res4.1")
    page.get_by_role("button", name="1 level").click()
    t = state(page)["t"]
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"(t) => {VIEWER}.viewer.getState().t !== t", arg=t)
    page.get_by_role("button", name="Stop").click()
    assert (state(page)["layer"], state(page)["levels"], len(state(page)["pins"])) == ("res4.1", 1, 1)
    pause(page)  # what the address remembers is written a little later
    assert asked == []


def test_the_last_clip_asked_for_is_shown(
    visit: Visit, address: str, own_clip: Path, quiet: Callable[[Page], None]
) -> None:
    page = visit(address)
    wait_for_viewer(page)
    hasty = "for (const name of {}) document.querySelector(`#examples [data-name=${{name}}]`).click()"
    page.evaluate(hasty.format(["person_jumping_jacks", "earth_rotates"]))
    wait_for_clip(page, "earth_rotates.mp4")
    page.locator("#upload input[type=file]").set_input_files(own_clip)
    expect(page.locator("#notice .busy")).to_be_visible()
    page.evaluate(hasty.format(["cockatoo_moves_right"]))
    wait_for_clip(page, "cockatoo_moves_right.mp4")
    quiet(page)  # the upload would be there by now
    wait_for_clip(page, "cockatoo_moves_right.mp4")
    expect(page.locator("#notice .busy")).to_have_count(0)
    with page.expect_download() as download:
        page.locator("#save-json").click()
    assert download.value.suggested_filename == "sifa_cockatoo_moves_right.json", "the server is of the same mind"


def test_another_clip_keeps_overlays_and_opacity(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    page.get_by_role("checkbox", name="Regular grid").check()
    page.get_by_role("checkbox", name="Top-3 lines").uncheck()
    page.get_by_label("Opacity of sampling points").fill("0.4")
    open_example(page, "earth_rotates")
    now = state(page)
    assert (now["overlays"]["grid"], now["overlays"]["links"], now["opacity"]["points"]) == (True, False, 0.4)


def test_an_example_is_analysed_once_for_everybody(
    visit: Visit, address: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(address)
    wait_for_viewer(page)
    names = ("earth_rotates", "cockatoo_moves_right")
    for name in names:
        open_example(page, name)

    def refuse(*_: object) -> None:
        raise AssertionError("an example was read again")

    monkeypatch.setattr(service, "read", refuse)
    for name in names:
        open_example(page, name)


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_upload_a_clip_then_a_text_file(
    visit: Visit, address: str, photograph: Photograph, own_clip: Path, tmp_path: Path, size: str, scheme: str
) -> None:
    page = visit(address, size, scheme)
    wait_for_viewer(page)
    page.locator("#upload input[type=file]").set_input_files(own_clip)
    expect(page.locator("#status .name")).to_contain_text("square.mp4")
    expect(page.locator('#examples button[aria-pressed="true"]')).to_have_count(0)
    wait_for_viewer(page)
    ask(page, 0.3, 0.5, touch=size == "phone")
    assert state(page)["x"] == pytest.approx(0.3 * 320 - 0.5, abs=2)
    shown = picture(page, FIGURE)

    text = tmp_path / "words.mp4"
    text.write_text("These are words, not pictures.")
    page.locator("#upload input[type=file]").set_input_files(text)
    expect(page.get_by_role("alert")).to_contain_text("words.mp4 is not a video")
    photograph(page, "error")
    assert picture(page, FIGURE) == shown
    # The former clip is not only still shown, it still answers.
    ask(page, 0.8, 0.8, touch=size == "phone")
    assert picture(page, FIGURE) != shown
    assert page.locator("#explorer h1").text_content().endswith("square.mp4")


def test_names_of_files_and_classes_are_text_and_nothing_else(
    visit: Visit, address: str, own_clip: Path, tmp_path: Path
) -> None:
    name = "${7*7} <img src=x onerror=document.title=1> {{7*7}} שלום 🐦.mp4"
    nasty = tmp_path / name
    nasty.write_bytes(own_clip.read_bytes())
    page = visit(address)
    wait_for_viewer(page)
    page.locator("#upload input[type=file]").set_input_files(nasty)
    expect(page.locator("#explorer h1")).to_contain_text("שלום 🐦.mp4")
    for place in ("#status .name", "#explorer h1"):
        said = page.locator(place).text_content()
        assert said.endswith("שלום 🐦.mp4")
        assert "49" not in said
    for label in page.locator(".prediction-group li bdi").all_inner_texts():
        assert re.fullmatch(re.escape(LABEL) + r" \d+", label)
    expect(page.locator("#status img, .prediction-group img, #explorer h1 img")).to_have_count(0)
    assert page.title() == "SIFA Explorer"


def test_two_visitors_do_not_see_each_other(visit: Visit, address: str, own_clip: Path) -> None:
    one, other = visit(address), visit(address)
    wait_for_viewer(one)
    open_example(one, "earth_rotates")
    earth = picture(one, FIGURE)
    wait_for_viewer(other)
    other.locator("#upload input[type=file]").set_input_files(own_clip)
    expect(other.locator("#status .name")).to_contain_text("square.mp4")
    assert picture(one, FIGURE) == earth
    assert one.locator("#explorer h1").text_content() == "earth_rotates.mp4"
    with one.expect_download() as download:
        one.locator("#save-json").click()
    assert download.value.suggested_filename == "sifa_earth_rotates.json"
