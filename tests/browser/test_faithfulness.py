"""A visitor asks whether the picture can be believed: an answer in words, with curves, about this clip only."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.steps import open_example, wait_for_viewer

ANSWER = "#believe-verdict .verdict"


def test_an_answer_with_curves_that_goes_with_its_clip(visit: Callable[..., Page], address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    page.locator("#believe summary").click()
    page.locator("#believe-start").click()
    expect(page.locator(ANSWER)).to_be_visible()
    words = page.locator(ANSWER).inner_text()
    assert "integrated gradients in res" in words
    assert "held still, the probability of" in words
    for name in ("deletion", "insertion"):
        expect(page.locator(f"#believe-{name} .legendtext")).to_have_count(3)
    assert page.title() == "SIFA Explorer", "class names of a hostile checkpoint are text here, too"
    other = page.locator("#examples button[data-name]").nth(1).get_attribute("data-name")
    assert other
    open_example(page, other)
    expect(page.locator(ANSWER)).to_have_count(0)
    expect(page.locator("#believe-deletion")).to_be_hidden()


def test_an_answer_about_the_clip_before_never_comes(visit: Callable[..., Page], address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    open_example(page, "person_jumping_jacks")  # no test has asked about it, so the answer takes a while
    page.locator("#believe summary").click()
    page.locator("#believe-start").click()
    expect(page.locator("#believe-verdict .busy")).to_be_visible()
    open_example(page, "earth_rotates")
    expect(page.locator("#believe-verdict")).to_be_empty()
    page.locator("#believe-start").click()  # waits for its turn, and is the only one to be answered
    expect(page.locator(ANSWER)).to_be_visible()
    expect(page.locator(ANSWER)).to_have_count(1)
