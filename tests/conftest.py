"""What all tests share: tiers, a time limit, tools that must be there, one cache of compiled code, one Chromium.

Only pytest itself is needed: a machine without its plugins, Playwright or a home directory runs what it can.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
# Read when OpenMP and Gradio load, so they are set before any test is imported. Servers and other processes that tests
# start inherit them: code is compiled once for all of them.
ENVIRONMENT = {
    "SIFA_CACHE_DIR": str(ROOT / ".cache" / "tests"),
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

INTEGRATION = {"app", "benchmarks", "cuda", "install", "isolated", "training"}
"""Folders whose tests start processes, compile, serve or train; so does every test marked `slow`."""
TIME_LIMIT = 300
"""Seconds for one test with its fixtures: generous, since the machine may be busy; what takes longer hangs."""
MAY_BE_SKIPPED = re.compile("CUDA|GPU|nvcc|superuser")
"""What a reason to skip speaks of where a machine that tests every change may lack something."""


def tier_of(folder: str, marks: set[str]) -> str:
    """`unit`, `integration` or `browser`, for a test in tests/`folder` that has these marks."""
    if "browser" in marks or folder == "browser":
        return "browser"
    return "integration" if "slow" in marks or folder in INTEGRATION else "unit"


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test gets the mark of its tier and a time limit. The browser's come first, then those that start processes
    or serve: what takes long must not be begun when the other worker has nothing left to do."""
    has_limit = config.pluginmanager.hasplugin("timeout") and not config.getoption("timeout")
    tiers = {}
    for item in items:
        tiers[item] = tier_of(item.path.parent.name, {mark.name for mark in item.iter_markers()})
        item.add_marker(tiers[item])
        if has_limit and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_LIMIT))
    items.sort(key=lambda item: ("browser", "integration", "unit").index(tiers[item]))


def pytest_collection_finish() -> None:
    """What was imported stays to the end: looking for garbage among it took a twentieth of the time of some tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where every change is tested (CI=true), a test that is skipped for want of a tool has failed."""
    report: Any = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI", "").lower() in ("1", "true"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not MAY_BE_SKIPPED.search(reason):
            report.outcome, report.longrepr = "failed", f"{item.nodeid} must not be skipped here: {reason}"
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from tests.browser.chromium import open_browser  # most tests run on machines without Playwright

    with open_browser() as browser:
        yield browser
