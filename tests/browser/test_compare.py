"""The Compare tab in a real browser: two viewers that follow each other, and what two models say of one clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from sifa_core import analyze, create_model, load_model, read_clip
from sifa_core.explain.studies.ablation import without_offsets
from sifa_core.models import VideoModel, save_checkpoint
from sifa_core.paths import EXAMPLE_CLIPS
from tests.browser.steps import settle, wait_for_viewer

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Photograph = Callable[[Page, str], None]

ROWS = "#compare .predictions tbody tr"


def side(page: Page, letter: str) -> Locator:
    return page.get_by_role("region", name=f"Viewer {letter}")


def state(page: Page, letter: str) -> dict[str, Any]:
    answer: dict[str, Any] = side(page, letter).evaluate("(node) => node.viewer.getState()")
    return answer


def marks(page: Page, letter: str) -> str:
    settle(page)
    answer: str = side(page, letter).locator(".there .marks").evaluate("(canvas) => canvas.toDataURL()")
    return answer


def open_compare(page: Page) -> None:
    wait_for_viewer(page)
    page.locator("#to-compare").click()
    expect(page.locator(ROWS).first).to_be_visible(timeout=60_000)
    settle(page)


def test_two_viewers_follow_each_other(visit: Visit, address: str, photograph: Photograph) -> None:
    page = visit(address)
    open_compare(page)
    photograph(page, "opened")
    own, regular = state(page, "A"), state(page, "B")
    assert [own[name] for name in ("t", "x", "y")] == [regular[name] for name in ("t", "x", "y")]
    moved = {
        letter: np.abs(np.subtract(seen["points"]["points"], seen["points"]["base"])).max()
        for letter, seen in (("A", own), ("B", regular))
    }
    assert moved["A"] > 1
    assert moved["B"] < 1e-3

    still = marks(page, "A")
    box = side(page, "B").locator(".screen.here").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"])
    hovered = marks(page, "A")
    assert hovered != still, "hovering over one shows the points of the other"
    page.mouse.move(5, 5)
    assert marks(page, "A") == still, "and leaving ends it"

    side(page, "B").locator(".screen.here").click(position={"x": 30, "y": 30})
    assert state(page, "A")["pins"] == state(page, "B")["pins"] != []
    assert state(page, "A")["x"] == state(page, "B")["x"]
    side(page, "A").locator(".moment").nth(2).click()
    assert state(page, "A")["t"] == state(page, "B")["t"] == 2
    side(page, "A").locator(".screen.here").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    assert state(page, "B")["x"] == state(page, "A")["x"]
    assert state(page, "B")["overlays"]["saliency"] is True
    side(page, "B").locator(".choose select").select_option("res4.1")
    assert (state(page, "A")["layer"], state(page, "B")["layer"]) == ("res3.0", "res4.1")


def test_predictions_are_those_of_both_models(visit: Visit, address: str, model: VideoModel) -> None:
    page = visit(address + "?tab=compare")
    wait_for_viewer(page)
    expect(page.locator(ROWS).first).to_be_visible(timeout=60_000)
    clip = read_clip(EXAMPLE_CLIPS / "person_walks_left_close.mp4", 16)
    with_offsets, regular = (dict(analyze(one, clip).predictions) for one in (model, without_offsets(model)))
    cells = page.locator(ROWS).evaluate_all("(rows) => rows.map((row) => [...row.children].map((c) => c.textContent))")
    assert len(cells) >= 5
    for label, first, second, difference in cells:
        assert float(first.split()[0]) == pytest.approx(100 * with_offsets[label], abs=0.11)
        assert float(second.split()[0]) == pytest.approx(100 * regular[label], abs=0.11)
        assert float(difference.split()[0].replace("−", "-").strip("±")) == pytest.approx(
            100 * (regular[label] - with_offsets[label]), abs=0.11
        )
    choices = page.locator("#compare .side > label select").last
    assert choices.locator("option").all_text_contents() == [
        "sifa_net_tiny (own)",
        "sifa_net_tiny without offsets (regular grid)",
        "sifa_net_tiny",
    ]
    before = marks(page, "A"), marks(page, "B")
    choices.select_option("sifa_net_tiny")  # the shipped one, which is loaded now
    expect(page.locator(ROWS).filter(has_text="object moves left")).to_have_count(1, timeout=60_000)
    assert (marks(page, "A") == before[0], marks(page, "B") == before[1]) == (True, False)
    expect(choices).to_have_value("other-1")


def test_a_choice_made_while_another_is_answered_is_not_lost(visit: Visit, address: str) -> None:
    page = visit(address)
    open_compare(page)
    page.locator('#examples button[data-name="cockatoo_moves_right"]').click()
    expect(side(page, "B").locator("h1")).to_have_text("cockatoo_moves_right.mp4", timeout=60_000)
    first, second = page.locator("#compare .side > label select").all()
    with page.expect_request("**/queue/join*"):
        first.select_option("other-1")  # has to see this clip first
    second.select_option("main")
    expect(page.locator("#compare .compare")).to_have_attribute("aria-busy", "false", timeout=60_000)
    expect(first).to_have_value("other-1")
    expect(second).to_have_value("main")


def test_a_choice_that_cannot_be_had_goes_back_to_what_is_shown(
    visit: Visit, serve: Callable[..., str], model: VideoModel, checkpoint: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(checkpoint.read_bytes())
    page = visit(serve(model, str(other)))
    open_compare(page)
    other.unlink()
    second = page.locator("#compare .side > label select").last
    second.select_option("other-1")
    expect(page.get_by_text("no checkpoint file other.safetensors")).to_be_visible(timeout=60_000)
    expect(second).to_have_value("regular")
    page.locator('#examples button[data-name="earth_rotates"]').click()
    expect(side(page, "B").locator("h1")).to_have_text("earth_rotates.mp4", timeout=60_000)
    expect(second).to_have_value("regular")


def test_models_with_other_frames_are_linked_by_the_moment(
    visit: Visit, serve: Callable[..., str], model: VideoModel, tmp_path: Path
) -> None:
    finer = save_checkpoint(tmp_path / "finer.safetensors", create_model("sifa_net_tiny", temporal_stride=2))
    page = visit(serve(model, str(finer)))
    open_compare(page)
    page.locator("#compare .side > label select").last.select_option("other-1")
    expect(page.locator("#compare .compare")).to_have_attribute("aria-busy", "false", timeout=60_000)
    clip = read_clip(EXAMPLE_CLIPS / "person_walks_left_close.mp4", 16)
    coarse, fine = (analyze(each, clip).frame_index for each in (model, load_model(finer)))
    assert len(fine) == 2 * len(coarse)

    def apart() -> int:
        return abs(coarse[state(page, "A")["t"]] - fine[state(page, "B")["t"]])

    assert apart() <= 1, "another model starts at the moment that was shown"
    show = "(node, t) => node.viewer.setState({t})"
    for t in range(len(coarse)):
        side(page, "A").evaluate(show, t)
        settle(page)
        assert state(page, "A")["t"] == t
        assert apart() <= 1
    for t in reversed(range(len(fine))):
        side(page, "B").evaluate(show, t)
        settle(page)
        assert state(page, "B")["t"] == t
        assert apart() <= 1
    side(page, "B").evaluate(show, 5)
    settle(page)
    side(page, "A").locator(".screen.here").focus()
    page.keyboard.press("m")
    settle(page)
    assert state(page, "B")["t"] == 5, "what changes nothing in time leaves the frame"


def test_another_clip_and_a_phone(visit: Visit, address: str, photograph: Photograph) -> None:
    page = visit(address, "phone", "dark")
    open_compare(page)
    above, below = (side(page, letter).bounding_box() for letter in "AB")
    assert above
    assert below
    assert above["y"] + above["height"] <= below["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth")
    frame = side(page, "A").locator(".screen.here")
    frame.scroll_into_view_if_needed()
    frame.tap(position={"x": 60, "y": 60})
    assert len(state(page, "B")["pins"]) == 1
    photograph(page, "tapped")
    page.locator('#examples button[data-name="earth_rotates"]').click()
    expect(side(page, "B").locator("h1")).to_have_text("earth_rotates.mp4", timeout=60_000)
    expect(side(page, "A").locator("h1")).to_have_text("earth_rotates.mp4")
    assert state(page, "A")["pins"] == state(page, "B")["pins"] == []
    assert state(page, "A")["x"] == state(page, "B")["x"]
