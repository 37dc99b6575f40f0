"""Takes the README's pictures of the page, which must be running:

make app &
python -m tests.browser.tour http://127.0.0.1:7860/ assets/readme
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import SIZES
from tests.browser.steps import VIEWER, open_example, settle, wait_for_viewer
from tests.conftest import launch_browser

EXAMPLE = "person_walks_left_close"
STATE = "{layer: 'res4.1', levels: 2, t: 1, x: 140, y: 140}"
"""A place on the person, in a layer whose cells are small enough to tell the person from the ground."""
LOOKS = [("page", "desktop", "light"), ("page_dark", "desktop", "dark"), ("phone", "phone", "light")]


def main(address: str, folder: Path) -> None:
    """Write page.jpg, page_dark.jpg and phone.jpg."""
    with sync_playwright() as playwright:
        browser = launch_browser(playwright)
        for name, size, scheme in LOOKS:
            width, height = SIZES[size]
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(address)
            wait_for_viewer(page)
            open_example(page, EXAMPLE)
            page.evaluate(f"{VIEWER}.viewer.setState({STATE})")
            settle(page)
            page.screenshot(path=folder / f"{name}.jpg", quality=88)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
