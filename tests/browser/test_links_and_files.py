"""What leaves the page: links that bring a state back, files of what is shown, and numbers that are the API's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from tests.browser.steps import VIEWER, ask, open_example, pause, state, wait_for_viewer

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]


def test_a_link_brings_the_state_back(visit: Visit, address: str) -> None:
    page = visit(f"{address}?__theme=light")
    wait_for_viewer(page)
    open_example(page, "earth_rotates")
    ask(page, 0.3, 0.6)
    page.locator("#explorer .moment").nth(2).click()
    page.get_by_label("Layer", exact=True).locator("visible=true").last.select_option("res4.1")
    page.get_by_role("button", name="1 level").click()
    page.wait_for_url("**layer=res4.1*levels=1*")
    link = parse_qs(urlsplit(page.url).query)
    assert (link["example"], link["t"], link["layer"]) == (["earth_rotates"], ["2"], ["res4.1"])
    assert link["__theme"] == ["light"], "what is not ours stays"
    wanted = state(page)

    again = visit(page.url)
    wait_for_viewer(again)
    expect(again.locator("#status .name")).to_have_text("earth_rotates.mp4")
    pressed = again.locator('#examples button[aria-pressed="true"]')
    expect(pressed).to_have_attribute("data-name", "earth_rotates")
    now = state(again)
    assert [now[name] for name in ("t", "layer", "levels")] == [2, "res4.1", 1]
    assert (now["x"], now["y"]) == pytest.approx((wanted["x"], wanted["y"]), abs=0.06)
    assert now["points"]["weights"] == pytest.approx(wanted["points"]["weights"], rel=0.01)


def test_class_evidence_of_another_class_comes_from_the_server_and_stays_in_the_link(
    visit: Visit, address: str
) -> None:
    page = visit(f"{address}?example=earth_rotates")
    wait_for_viewer(page)
    own = state(page)["evidence"]
    page.locator(".bars button[aria-pressed=false]").first.click()
    page.wait_for_function(f"(target) => {VIEWER}.viewer.getState().evidence.target !== target", arg=own["target"])
    page.get_by_label("How class evidence is found").select_option("layer_cam")
    page.wait_for_function(f"{VIEWER}.viewer.getState().evidence.method === 'layer_cam'")
    page.get_by_role("button", name="As in the paper").click()
    page.wait_for_url("**maps=paper*")
    wanted = state(page)["evidence"]
    assert state(page)["overlays"]["evidence"] is True, "who asks for a class sees its evidence"

    again = visit(page.url)
    wait_for_viewer(again)
    again.wait_for_function(f"{VIEWER}.viewer.getState().evidence.method === 'layer_cam'")
    assert state(again)["evidence"] == wanted
    assert state(again)["paper"] is True


def test_a_link_with_nonsense_shows_what_is_possible(visit: Visit, address: str) -> None:
    page = visit(f"{address}?example=earth_rotates&t=99&x=-500&y=abc&layer=%3Cimg%3E&levels=7")
    wait_for_viewer(page)
    now = state(page)
    assert page.locator("#explorer h1").text_content() == "earth_rotates.mp4"
    assert [now[name] for name in ("t", "x", "layer", "levels")] == [3, -0.5, "res3.0", 1]


def test_a_link_to_an_unknown_example_says_so_and_shows_the_first(visit: Visit, address: str) -> None:
    page = visit(f"{address}?example=%3Cimg%20src%3Dx%3E&t=2")
    wait_for_viewer(page)
    expect(page.get_by_role("alert")).to_have_text("There is no example '<img src=x>' here, so this is the first one.")
    expect(page.locator("#status .name")).to_have_text("person_walks_left_close.mp4")
    page.wait_for_url("**example=person_walks_left_close*")


def test_an_uploaded_clip_stays_out_of_the_address(visit: Visit, address: str, own_clip: Path) -> None:
    page = visit(address)
    wait_for_viewer(page)
    page.wait_for_url("**example=*")
    page.locator("#upload input[type=file]").set_input_files(own_clip)
    expect(page.locator("#explorer h1")).to_contain_text("square.mp4")
    assert page.url == address
    ask(page, 0.5, 0.5)
    pause(page)
    assert page.url == address


def test_files_hold_what_is_shown(visit: Visit, address: str, tmp_path: Path) -> None:
    page = visit(address)
    wait_for_viewer(page)
    open_example(page, "earth_rotates")
    page.evaluate(f"{VIEWER}.viewer.setState({{ t: 2, x: 111, y: 77.5, layer: 'res4.1', levels: 1 }})")
    starts = {"png": b"\x89PNG", "json": b"{", "html": b"<!doctype html>"}
    files = {}
    for kind, start in starts.items():
        with page.expect_download() as download:
            page.locator(f"#save-{kind}").click()
        assert download.value.suggested_filename == f"sifa_earth_rotates.{kind}"
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
        assert files[kind].read_bytes().startswith(start)
    expect(page.locator("#status .name")).to_have_text("earth_rotates.mp4")
    saved = json.loads(files["json"].read_text())
    assert saved["query"] == {"t": 2, "x": 111, "y": 77.5, "layer": "res4.1", "levels": 1}

    offline = page.context.new_page()
    offline.goto(files["html"].as_uri())
    offline.wait_for_function("document.getElementById('viewer').viewer")
    shown = offline.evaluate("document.getElementById('viewer').viewer.getState()")
    assert [shown[name] for name in ("t", "x", "y", "layer", "levels")] == [2, 111, 77.5, "res4.1", 1]
    assert shown["points"] == state(page)["points"]


def test_saved_figures_are_of_the_query(visit: Visit, address: str, tmp_path: Path) -> None:
    page = visit(address)
    wait_for_viewer(page)
    contents = []
    for place in (0.2, 0.7):
        ask(page, place, 0.5)
        with page.expect_download() as download:
            page.locator("#save-png").click()
        download.value.save_as(tmp_path / "figure.png")
        contents.append((tmp_path / "figure.png").read_bytes())
    assert contents[0] != contents[1]


def test_the_points_drawn_are_the_numbers_of_the_api(visit: Visit, address: str) -> None:
    page = visit(address)
    wait_for_viewer(page)
    name = "person_walks_left_close"
    open_example(page, name)
    client = Client(address, verbose=False)
    generator = np.random.default_rng(0)
    for layer, levels in (("res3.0", 1), ("res4.1", 1), ("res4.1", 2), ("res5.1", 2)):
        t = int(generator.integers(4))
        x, y = (round(float(generator.uniform(0, size - 1)), 1) for size in (640, 360))
        asked = {"t": t, "x": x, "y": y, "layer": layer, "levels": levels}
        page.evaluate(f"(asked) => {VIEWER}.viewer.setState(asked)", asked)
        drawn = state(page)["points"]
        told = client.predict(example=name, frame=t, x=x, y=y, layer=layer, levels=levels, api_name="/explain")
        exact = told["sampling_points"]["selected"]
        assert drawn["frame"] == exact["frame"]
        # float16 keeps 11 bits of an offset in cells; the second level adds the earlier layer's, read at a place that
        # is off by as much.
        largest = max(max(told["offset_statistics"][each]["max_magnitude"]) for each in told["offset_statistics"])
        cell = 640 / len(told["motion_saliency"][layer][0][0])
        error = 2**-11 * largest * cell * (1 if levels == 1 else 2 + 2 * largest)
        assert error < cell / 20
        np.testing.assert_allclose(drawn["points"], exact["points"], rtol=0, atol=error)
        np.testing.assert_allclose(drawn["base"], exact["base"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(drawn["weights"], exact["weights"], rtol=levels * 2**-9, atol=1e-6)
