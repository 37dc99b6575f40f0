"""A model whose arrays are too large to be sent in one piece: layers come when they are looked at."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
from gradio_client import Client
from playwright.sync_api import Page

from sifa_core.explain.render.payload import light_payload
from sifa_core.models import create_model
from tests.browser.steps import VIEWER, state, wait_for_viewer

pytestmark = pytest.mark.browser


def test_layers_are_fetched_when_first_needed(
    serve: Callable[..., str], visit: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size that is too large is set low here: what would exceed the real one takes seconds to analyse."""
    monkeypatch.setattr("app.questions.light_payload", functools.partial(light_payload, largest=1000))
    address = serve(create_model("sifa_net_tiny", layers=(1, 3, 6, 1), width=16).eval())
    page = visit(address)
    fetched: list[str] = []
    page.on("request", lambda asked: fetched.append(asked.url) if "queue/join" in asked.url else None)
    wait_for_viewer(page)
    fetched.clear()
    first = state(page)["layer"]
    names = page.locator("#explorer .layer-group select option").evaluate_all("(all) => all.map(({value}) => value)")
    shown = names.index(first)
    one, *_, other, _ = (name for place, name in enumerate(names) if place > 0 and abs(place - shown) > 1)
    for name in (one, other, one, first):
        page.locator("#explorer .layer-group select").select_option(name)
        page.wait_for_function(f"{VIEWER}.viewer.getState().layer === '{name}'")
        assert state(page)["note"] == ""
    assert len(fetched) == 4, "two layers with the ones before them, each once"
    asked = {"t": 1, "x": 100.0, "y": 90.0, "layer": other, "levels": 2}
    page.evaluate(f"(asked) => {VIEWER}.viewer.setState(asked)", asked)
    drawn = state(page)["points"]
    query = {"frame": 1, "x": 100.0, "y": 90.0, "layer": other, "levels": 2}
    example = page.locator('#examples button[aria-pressed="true"]').get_attribute("data-name")
    told = Client(address, verbose=False).predict(example=example, **query, api_name="/explain")
    exact = told["sampling_points"]["selected"]
    np.testing.assert_allclose(drawn["points"], exact["points"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(drawn["weights"], exact["weights"], rtol=2**-8, atol=1e-6)
