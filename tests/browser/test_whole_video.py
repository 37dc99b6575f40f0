"""A visitor looks at the whole video and chooses another moment of it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.steps import open_example, wait_for_viewer


def test_another_moment_is_shown_and_a_link_brings_it_back(visit: Callable[..., Page], address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    open_example(page, "person_jumping_jacks")
    page.locator("#whole-video summary").click()
    expect(page.locator("#timeline .legendtext")).to_have_count(4)
    start, stride = page.locator("#window-start input"), page.locator("#window-stride input")
    expect(start).not_to_have_value("0.2")
    middle = page.locator("#timeline .scatterlayer .trace").nth(1).locator(".point").nth(2)
    middle.scroll_into_view_if_needed()
    box = middle.bounding_box()
    assert box is not None
    x, y, before = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, start.input_value()
    page.mouse.move(x + 1, y, steps=2)
    expect(page.locator("#timeline .hovertext").first).to_be_visible()
    page.mouse.click(x, y)
    expect(start).not_to_have_value(before)
    page.locator("#window-show").click()
    expect(page.locator("#status")).to_contain_text(f"frames from {float(start.input_value()):.1f} s on")
    start.fill("0.2")
    stride.fill("1")
    page.locator("#window-show").click()
    expect(page.locator("#status")).to_contain_text("16 frames from 0.2 s on, every frame")
    expect(start).to_have_value("0.2")
    expect(page.locator("#timeline .legendtext")).to_have_count(4)
    assert "example=person_jumping_jacks" in page.url
    assert "stride=1" in page.url
    link = page.url

    start.fill("99")
    page.locator("#window-show").click()
    expect(page.locator("#notice")).to_contain_text("there is nothing at 99 s")
    expect(page.locator("#status")).to_contain_text("16 frames from 0.2 s on, every frame")

    again = visit(link)
    wait_for_viewer(again)
    expect(again.locator("#status")).to_contain_text("16 frames from 0.2 s on, every frame")
    assert again.url == link
    open_example(again, "earth_rotates")
    assert "stride" not in again.url
