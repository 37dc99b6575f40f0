"""What tests of several folders share: one Chromium for everything that is looked at in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from tests.browser.chromium import open_browser  # most tests run on machines without Playwright

    with open_browser() as browser:
        yield browser
