"""What a visitor does on the page, and what a test reads from it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

VIEWER = "document.querySelector('#explorer .sifa-viewer')"


def wait_for_viewer(page: Page) -> None:
    """Until an analysis is shown."""
    page.wait_for_function(f"{VIEWER}?.viewer")
    page.evaluate(f"{VIEWER}.viewer.ready")
    settle(page)


def state(page: Page) -> dict[str, Any]:
    """What the viewer says it shows, with the sampling points of its query."""
    answer: dict[str, Any] = page.evaluate(f"{VIEWER}.viewer.getState()")
    return answer


def settle(page: Page) -> None:
    """Until what was asked for is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pause(page: Page, milliseconds: int = 400) -> None:
    """Until what the page does after a pause is done: of its timers, none that is as short was set before this one."""
    page.evaluate("(length) => new Promise((done) => setTimeout(done, length))", milliseconds)


def picture(page: Page, canvas: str) -> str:
    """What is drawn on a canvas of the viewer, as a data URI."""
    settle(page)
    answer: str = page.locator(f"#explorer {canvas}").evaluate("(canvas) => canvas.toDataURL()")
    return answer


def open_example(page: Page, name: str) -> None:
    """Choose an example clip and wait until it is shown."""
    page.locator(f'#examples button[data-name="{name}"]').click()
    page.mouse.move(0, 0)  # where it is, a pane would be once the page scrolls, and a place that is hovered is a query
    wait_for_clip(page, f"{name}.mp4")


def wait_for_clip(page: Page, name: str) -> None:
    """Until the viewer shows the clip of this name."""
    expect(page.locator("#explorer h1")).to_have_text(name)
    expect(page.locator("#status .name")).to_have_text(name)
    wait_for_viewer(page)


def ask(page: Page, x: float, y: float, *, touch: bool = False) -> None:
    """Click or tap the frame at a fraction of its width and height."""
    frame = page.locator("#explorer .screen.here")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box
    place = {"x": box["width"] * x, "y": box["height"] * y}
    if touch:
        frame.tap(position=place)
    else:
        frame.click(position=place)
    settle(page)
