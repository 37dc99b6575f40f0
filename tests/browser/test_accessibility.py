"""Every tab, light and dark, desktop and phone: axe-core finds nothing serious."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import settle, wait_for_viewer

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "axe" / "axe.min.js"
TABS = {
    "explore": "#explorer .screen.here",
    "offsets": ".card .change",
    "compare": "#compare .predictions td",
    "learn": "#tab-learn h2",
    "about": "#tab-about h2",
}
"""Every tab, and something that is there once it is filled."""
FAULTS = """
async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter(({impact}) => impact === 'serious' || impact === 'critical')
  .map(({id, nodes}) => [id, nodes.map(({html, failureSummary}) => `${html.slice(0, 200)} ${failureSummary}`)])
"""


@pytest.mark.parametrize(
    ("size", "scheme"), [(size, scheme) for size in ("desktop", "phone") for scheme in ("light", "dark")]
)
def test_nothing_serious_on_any_tab(visit: Callable[..., Page], address: str, size: str, scheme: str) -> None:
    page = visit(address, size, scheme)
    wait_for_viewer(page)
    page.add_script_tag(path=AXE)
    ids = page.locator(".tab-bar [role=tab]").evaluate_all("(tabs) => tabs.map(({dataset}) => dataset.tab)")
    assert ids == list(TABS), "a new tab is to be looked at, too"
    faults: dict[str, Any] = {}
    for tab, filled in TABS.items():
        page.locator(f"#to-{tab}").click()
        expect(page.locator(filled).first).to_be_visible(timeout=60_000)
        expect(page.locator("#notice .busy")).to_have_count(0, timeout=60_000)
        # Until a chart is drawn, Gradio shows a placeholder of its own.
        expect(page.get_by_label("Empty value").locator("visible=true")).to_have_count(0, timeout=60_000)
        settle(page)
        found = page.evaluate(FAULTS)
        if found:
            faults[tab] = found
    assert not faults, json.dumps(faults, indent=1)
