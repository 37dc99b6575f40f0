"""The notebook's widget in Chromium: what anywidget loads, with a stand-in for the model that Jupyter gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from sifa_core.explain import viewer
from sifa_core.explain.explanation import Explanation
from sifa_core.explain.render.page import embeddable_json
from sifa_core.explain.render.widget import widget_script
from tests.payloads import payload_of

pytestmark = pytest.mark.browser

MODEL = """
globalThis.fake = {
  values: %s, saved: 0, listeners: {},
  get(name) { return this.values[name]; },
  set(name, value) { this.values[name] = value; this.tell(name); },
  save_changes() { this.saved += 1; },
  on(event, listener) { (this.listeners[event] ??= new Set()).add(listener); },
  off(event, listener) { this.listeners[event].delete(listener); },
  tell(name) { for (const listener of this.listeners[`change:${name}`] ?? []) listener(); },
};
"""


@pytest.fixture(scope="module")
def page(browser: Browser, analysis: Explanation) -> Iterator[Page]:
    """A page that shows the widget twice, as a notebook may."""
    values = {"payload": payload_of(analysis), "query": [1, 100, 90], "layer": "res4.1", "frame": 1}
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_content(f"<style>{viewer.viewer_styles()}</style><div id=one></div><div id=two></div>")
    page.add_script_tag(content=MODEL % embeddable_json(values))
    address = page.evaluate(
        "(script) => URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))", widget_script()
    )
    page.evaluate(
        """async (address) => {
          const { default: widget } = await import(address);
          globalThis.stop = ["one", "two"].map((id) => widget.render({ model: fake, el: document.getElementById(id) }));
        }""",
        address,
    )
    yield page
    page.close()


def shown(page: Page, place: str = "one") -> list[object]:
    return page.evaluate(
        f"""() => {{
          const {{ t, x, y, layer, pins }} = document.querySelector("#{place} .sifa-viewer").viewer.getState();
          return [t, x, y, layer, pins];
        }}"""
    )


def values(page: Page) -> dict[str, object]:
    found = page.evaluate("({ ...fake.values, payload: null, saved: fake.saved })")
    return {name: found[name] for name in ("query", "layer", "frame")}


def test_a_query_set_in_python_moves_the_query_and_its_pin(page: Page) -> None:
    page.evaluate(
        'document.querySelector("#one .sifa-viewer").viewer.setState({ pins: [{ x: 100, y: 90 }], active: 0 })'
    )
    page.evaluate("fake.set('query', [2, 50, 60])")
    assert shown(page) == [2, 50, 60, "res4.1", [{"x": 50, "y": 60}]]
    assert shown(page, "two")[:3] == [2, 50, 60]
    assert values(page) == {"query": [2, 50, 60], "layer": "res4.1", "frame": 2}
    page.evaluate("fake.set('frame', 0)")
    assert shown(page)[0] == 0
    page.evaluate("fake.set('layer', 'res5.0')")
    assert shown(page)[3] == shown(page, "two")[3] == "res5.0"


def test_a_click_sets_the_query_in_python_and_in_the_other_view(page: Page) -> None:
    saved = page.evaluate("fake.saved")
    box = page.locator("#one .here").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    query = values(page)["query"]
    assert query[1] == pytest.approx(250 / 4, abs=2)
    assert query[2] == pytest.approx(180 / 2, abs=2)
    assert shown(page, "two")[:3] == query
    assert page.evaluate("fake.saved") > saved


def test_a_view_that_is_closed_listens_no_more(page: Page) -> None:
    page.evaluate("stop[0]()")
    assert page.locator("#one .sifa-viewer").count() == 0
    page.evaluate("fake.set('query', [1, 20, 30])")
    assert shown(page, "two")[:3] == [1, 20, 30]
    assert json.loads(page.evaluate("JSON.stringify(Object.values(fake.listeners).map((set) => set.size))")) == [
        1,
        1,
        1,
    ]
