"""The exported page in Chromium, opened from disk: its numbers, every interaction, untrusted names, both schemes."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from sifa_core.explain import viewer
from sifa_core.explain.explanation import Explanation
from sifa_core.explain.points import compose_points
from tests.payloads import payload_of

pytestmark = pytest.mark.browser

LEGENDS = {
    "points": True,
    "links": False,
    "grid": False,
    "arrows": False,
    "weights": True,
    "motion": True,
    "saliency": True,
    "evidence": True,
}
"""Overlays in the order of their rows, and whether the row has a colour scale."""
HANDLE = "document.querySelector('.sifa-viewer').viewer"


def state(page: Page) -> dict[str, Any]:
    return page.evaluate(f"{HANDLE}.getState()")


def settle(page: Page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def place(page: Page, x: float, y: float, pane: str = ".here") -> tuple[float, float]:
    """Window coordinates of a pixel of the clip (250 x 180) in a pane that shows the whole picture."""
    box = page.locator(pane).bounding_box()
    assert box
    return box["x"] + (x + 0.5) * box["width"] / 250, box["y"] + (y + 0.5) * box["height"] / 180


def pixels(page: Page, canvas: str) -> np.ndarray:
    """BGRA of a canvas as drawn."""
    address = page.locator(canvas).evaluate("(canvas) => canvas.toDataURL()")
    encoded = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)


def wait_for_frame(page: Page, t: int) -> None:
    """The page's policy allows no evaluation inside it, so that Playwright's own waiting does not work."""
    while state(page)["t"] != t:
        settle(page)


def test_points_are_those_of_the_python_interface(open_page, analysis: Explanation) -> None:
    page = open_page()
    generator = np.random.default_rng(7)
    queries = []
    for layer in analysis.layers:
        for levels in range(1, analysis.max_levels(layer) + 1):
            for _ in range(6):
                t = int(generator.integers(analysis.num_frames))
                x, y = generator.uniform(-0.5, 249.5), generator.uniform(-0.5, 179.5)
                queries.append({"t": t, "x": x, "y": y, "layer": layer, "levels": levels})
    shown = page.evaluate(
        f"(queries) => queries.map((q) => ({HANDLE}.setState(q), {HANDLE}.getState().points))", queries
    )
    for asked, drawn in zip(queries, shown, strict=True):
        layer, levels, query = asked["layer"], asked["levels"], (asked["t"], asked["x"], asked["y"])
        exact = analysis.sampling_points(query, layer, levels)
        rounded = _points_of_rounded_trace(analysis, layer, levels, query)
        assert drawn["frame"] == exact.frame
        np.testing.assert_allclose(drawn["points"], rounded.points, rtol=0, atol=1e-9)
        np.testing.assert_allclose(drawn["weights"], rounded.weights, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(drawn["base"], exact.base, rtol=0, atol=1e-9)
        assert drawn["in_frame"] == rounded.in_frame.tolist()
        # float16 keeps 11 bits: 2^-11 of an offset of at most 4 cells, at most twice over, in pixels of a cell.
        stride = analysis.grid(layer).stride.max()
        np.testing.assert_allclose(drawn["points"], exact.points, rtol=0, atol=levels * 4 * stride * 2**-11)
        np.testing.assert_allclose(drawn["weights"], exact.weights, rtol=levels * 2**-10, atol=1e-6)


def _points_of_rounded_trace(analysis: Explanation, layer: str, levels: int, query: tuple[int, float, float]):
    """What Python's own composition makes of the numbers as they were sent."""
    names = [analysis.layers[analysis.layers.index(layer) - 1], layer] if levels == 2 else [None, layer]
    earlier, trace = (analysis.traces[name] if name else None for name in names)

    def rounded(one):
        if one is None:
            return None
        halves = {name: getattr(one, name).astype(np.float16).astype(float) for name in ("offset", "weights")}
        return dataclasses.replace(one, **halves)

    following = min(query[0] + 1, analysis.num_frames - 1)
    return compose_points(rounded(trace), rounded(earlier), analysis.grid(layer), query, following)


def test_hover_shows_and_click_pins_and_double_click_clears(open_page) -> None:
    page = open_page()
    before = pixels(page, ".there .marks")
    page.mouse.move(*place(page, 180, 40))
    settle(page)
    assert page.locator(".field-x").input_value().startswith(("179", "180"))
    assert np.abs(pixels(page, ".there .marks").astype(int) - before).sum() > 1e5
    assert state(page)["pins"] == []
    page.mouse.move(5, 5)
    settle(page)
    np.testing.assert_array_equal(pixels(page, ".there .marks"), before)

    for x, y in ((180, 40), (60, 120)):
        page.mouse.click(*place(page, x, y))
    now = state(page)
    assert (now["active"], len(now["pins"])) == (1, 2)
    assert (now["x"], now["y"]) == pytest.approx((60, 120), abs=0.5)
    page.mouse.click(*place(page, 180, 40))
    assert (state(page)["active"], len(state(page)["pins"])) == (0, 2)
    page.mouse.dblclick(*place(page, 100, 100))
    assert state(page)["pins"] == []


def test_keys(open_page, analysis: Explanation) -> None:
    page = open_page()
    start = state(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert (state(page)["x"], state(page)["y"]) == (start["x"] + 2, start["y"] + 2)
    page.keyboard.press("Shift+ArrowLeft")
    assert state(page)["x"] == pytest.approx(start["x"] + 2 - analysis.grid(start["layer"]).stride[0])
    page.keyboard.press("Enter")
    assert len(state(page)["pins"]) == 1
    page.keyboard.press("Escape")
    assert state(page)["pins"] == []
    page.keyboard.press(".")
    assert state(page)["t"] == start["t"] + 1
    assert start["layer"] == analysis.clear_layer
    for key, layer in (("l", "res4.0"), ("l", "res4.1"), ("Shift+L", "res4.0"), ("l", "res4.1")):
        page.keyboard.press(key)
        assert (state(page)["layer"], state(page)["levels"]) == (layer, analysis.max_levels(layer))
    page.keyboard.press("d")
    assert len(state(page)["points"]["weights"]) == 9
    page.keyboard.press("s")
    assert state(page)["scope"] == "frame"
    page.keyboard.press("+")
    assert state(page)["view"]["zoom"] == 1.5
    page.keyboard.press("0")
    assert state(page)["view"]["zoom"] == 1
    page.locator(".field-x").focus()
    page.keyboard.type("5")
    assert state(page)["overlays"] == start["overlays"]


def test_play_goes_round_and_stops(open_page) -> None:
    page = open_page()
    page.keyboard.press(" ")
    wait_for_frame(page, 3)
    wait_for_frame(page, 0)
    page.get_by_role("button", name="Stop").click()
    assert state(page)["playing"] is False


def test_number_fields_and_spoken_text(open_page, analysis: Explanation) -> None:
    page = open_page()
    for name, value in (("t", "2"), ("x", "120"), ("y", "33.5")):
        page.locator(f".field-{name}").fill(value)
        page.locator(f".field-{name}").press("Tab")
    assert [state(page)[name] for name in "txy"] == [2, 120, 33.5]
    points = analysis.sampling_points((2, 120, 33.5), "res3.0")
    x, y = points.points[points.strongest(1)[0]]
    words = (
        f"Frame 2, point 120, 34, layer res3.0: 9 sampling points in frame 3; strongest: {x:.0f}, {y:.0f} with weight"
    )
    expect(page.locator("[aria-live=polite]")).to_contain_text(words)
    page.locator(".field-x").fill("99999")
    page.locator(".field-x").press("Tab")
    assert state(page)["x"] == 249.5


def test_layers_levels_and_frames_by_mouse(open_page) -> None:
    page = open_page()
    page.get_by_label("Layer", exact=True).locator("visible=true").last.select_option("res4.1")
    page.get_by_role("button", name="1 level").click()
    assert (state(page)["layer"], state(page)["levels"]) == ("res4.1", 1)
    expect(page.locator(".count")).to_have_text("9 sampling points")
    page.get_by_label("Layer", exact=True).locator("visible=true").last.select_option("res3.0")
    expect(page.get_by_role("button", name="2 levels")).to_be_disabled()
    page.locator(".moment").nth(3).click()
    assert state(page)["t"] == 3
    expect(page.locator(".pane .what").nth(1)).to_have_text("Frame 3")


def test_class_evidence_by_another_method_and_the_papers_own_figure(open_page) -> None:
    page = open_page()
    own = state(page)["evidence"]
    assert (own["method"], own["stage"]) == ("integrated_gradients", "res2")
    figure = pixels(page, ".figure canvas")
    page.get_by_label("How class evidence is found").select_option("layer_cam")
    assert state(page)["evidence"] == own | {"method": "layer_cam", "stage": "res3"}
    expect(page.locator(".method-words")).to_contain_text("positive gradients")
    settle(page)
    by_another = pixels(page, ".figure canvas")
    assert not np.array_equal(by_another, figure)
    other_classes = page.locator(".bars button[aria-pressed=false]")
    assert [other_classes.nth(row).is_disabled() for row in range(4)] == [True] * 4, "a file holds no other class"
    page.get_by_role("button", name="As in the paper").click()
    settle(page)
    assert state(page)["paper"] is True
    assert not np.array_equal(pixels(page, ".figure canvas"), by_another)
    expect(page.locator(".figure .title .note")).to_contain_text("mostly appearance")
    assert page.locator(".caveat").is_hidden()
    page.keyboard.press("e")
    expect(page.locator(".caveat")).to_contain_text("mostly appearance")


def test_overlays_switch_fade_and_have_legends(open_page) -> None:
    page = open_page(width=900, height=700)
    overlays = {
        "points": ("p", ".there .marks"),
        "links": ("t", ".links"),
        "grid": ("g", ".there .marks"),
        "arrows": ("a", ".there .marks"),
        "weights": ("w", ".there .marks"),
        "motion": ("m", ".there .picture"),
        "saliency": ("e", ".there .picture"),
        "evidence": ("c", ".here .picture"),
    }
    assert set(state(page)["overlays"]) == set(overlays)
    for name, (key, canvas) in overlays.items():
        page.evaluate(f"{HANDLE}.setState({{ overlays: {{ {name}: false }} }})")
        settle(page)
        off = pixels(page, canvas)
        page.keyboard.press(key)
        settle(page)
        assert state(page)["overlays"][name] is True
        assert not np.array_equal(pixels(page, canvas), off), name
        row = page.locator(".overlay").nth(list(LEGENDS).index(name))
        if LEGENDS[name]:
            ends = [row.locator(".low").inner_text(), row.locator(".high").inner_text()]
            assert all(re.match(r"^(≈ )?\d", end) for end in ends), (name, ends)
        row.get_by_role("slider").fill("0")
        settle(page)
        assert state(page)["opacity"][name] == 0
        np.testing.assert_array_equal(pixels(page, canvas), off, err_msg=name)
        row.get_by_role("checkbox").uncheck()
        assert state(page)["overlays"][name] is False


def test_zoom_and_pan_by_mouse_keep_the_place_under_the_pointer(open_page) -> None:
    page = open_page()
    x, y = place(page, 200, 60)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    view = state(page)["view"]
    assert view["zoom"] == pytest.approx(np.exp(1.2))
    page.mouse.move(x + 1, y)
    settle(page)
    assert float(page.locator(".field-x").input_value()) == pytest.approx(200, abs=1)
    page.mouse.down()
    page.mouse.move(x - 60, y, steps=4)
    page.mouse.up()
    assert state(page)["view"]["left"] > view["left"]
    assert state(page)["pins"] == []
    page.get_by_role("button", name="Whole picture").click()
    assert state(page)["view"]["zoom"] == 1


def test_a_point_explains_itself_in_the_next_frame(open_page) -> None:
    page = open_page()
    page.evaluate(f"{HANDLE}.setState({{ levels: 1 }})")
    points = state(page)["points"]
    inside = [i for i, is_inside in enumerate(points["in_frame"]) if is_inside]
    page.mouse.move(*place(page, *points["points"][inside[0]], pane=".there"))
    expect(page.locator(".tip")).to_contain_text("of 9: how much this point counts")
    expect(page.locator(".tip")).to_contain_text("by the network")


def test_figure_is_saved_as_a_picture(open_page, tmp_path: Path) -> None:
    page = open_page()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the figure as PNG").click()
    name = download.value.suggested_filename
    assert re.fullmatch(r"[\w.-]+\.png", name), name
    download.value.save_as(tmp_path / "figure.png")
    image = cv2.imread(str(tmp_path / "figure.png"))
    assert image.shape[1] == 2 * 1432
    purple = np.array([255, 92, 180])
    green = np.array([120, 220, 61])
    for colour in (purple, green):
        assert (np.abs(image.astype(int) - colour).sum(2) < 30).sum() > 100


def test_hostile_names_are_text(open_page, analysis: Explanation) -> None:
    page = open_page()
    assert page.locator("h1").inner_text() == analysis.clip.source.name
    assert page.locator(".bars li bdi").first.inner_text() == analysis.info.labels[0]
    assert page.locator("h1 img, .bars b").count() == 0
    assert page.title() == f"{analysis.clip.source.name} – SIFA Explorer"
    expect(page.locator(".badge")).to_have_text("own model")
    for digest in (analysis.clip.sha256, analysis.info.sha256):
        expect(page.locator("footer")).to_contain_text(digest)


def test_an_untrained_model_hides_predictions(open_page, analysis: Explanation, exported: Path, tmp_path: Path) -> None:
    data = json.loads(re.search(r'id="payload">(.*?)</script>', exported.read_text(), re.DOTALL)[1])
    data["model"]["status"], data["predictions"] = "untrained", None
    from sifa_core.explain.render.page import page_html

    path = tmp_path / "untrained.html"
    path.write_text(page_html(data))
    page = open_page(path)
    expect(page.locator(".badge")).to_have_text("untrained")
    expect(page.locator(".prediction-group")).to_contain_text("nothing to predict")
    assert page.locator(".bars").count() == 0


def test_touch(open_page) -> None:
    page = open_page(width=390, height=844, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*place(page, 200, 50))
    now = state(page)
    assert len(now["pins"]) == 1
    assert (now["x"], now["y"]) == pytest.approx((200, 50), abs=1)
    for _ in range(2):
        page.touchscreen.tap(*place(page, 60, 120))
    assert state(page)["pins"] == []


def test_however_often_the_pointer_moves_each_screen_is_drawn_once(open_page) -> None:
    page = open_page()
    drawn = page.locator(".here").evaluate(
        """(pane) => {
          const real = window.requestAnimationFrame;
          let asked = 0;
          window.requestAnimationFrame = (draw) => (asked += 1, real(draw));
          const box = pane.getBoundingClientRect();
          for (let step = 0; step < 60; step += 1) {
            const at = {clientX: box.x + 20 + 3 * step, clientY: box.y + 20 + 2 * step};
            pane.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, pointerType: 'mouse', ...at}));
          }
          window.requestAnimationFrame = real;
          return asked;
        }"""
    )
    assert drawn == 1
    settle(page)
    box = page.locator(".here").bounding_box()
    assert box
    shown = float(page.locator(".field-x").input_value())
    assert shown == pytest.approx((20 + 3 * 59) * 250 / box["width"] - 0.5, abs=1), "the last place is shown"


def test_handle_updates_tells_and_leaves(open_page, analysis: Explanation) -> None:
    page = open_page()
    payload = payload_of(analysis, query=(0, 30, 40), layer="res3.0")
    payload["clip"]["name"] = "other.mp4"
    page.evaluate(
        f"""(payload) => {{
          const handle = {HANDLE};
          window.changes = [];
          window.stop = handle.on("change", (state) => window.changes.push(state.t));
          handle.setState({{ t: 3, overlays: {{ grid: true }} }});
          handle.update(payload);
        }}""",
        payload,
    )
    settle(page)
    expect(page.locator("h1")).to_have_text("other.mp4")
    now = state(page)
    assert [now[name] for name in "txy"] == [0, 30, 40]
    assert (now["layer"], now["overlays"]["grid"]) == (analysis.clear_layer, True)
    page.evaluate(f"{HANDLE}.setState({{ t: 2 }}); window.stop(); {HANDLE}.setState({{ t: 1 }})")
    assert page.evaluate("window.changes") == [3, 2]
    page.evaluate(f"{HANDLE}.destroy()")
    assert page.locator("main *").count() == 0
    page.keyboard.press("g")


def test_two_viewers_on_one_page_do_not_meet(open_page, analysis: Explanation) -> None:
    """As in a page of somebody else: the script as it is bundled, no globals, keys only where the focus is."""
    page = open_page()
    before = set(page.evaluate("Object.keys(window)"))
    page.evaluate(
        """([script, payload]) => {
          const { mount } = new Function(`${script}; return sifaViewer;`)();
          for (const name of ["one", "two"]) {
            const root = document.body.appendChild(document.createElement("div"));
            root.id = name;
            root.viewer = mount(root, payload, { theme: "dark" });
          }
        }""",
        [viewer.viewer_script(), payload_of(analysis)],
    )
    assert set(page.evaluate("Object.keys(window)")) - before == {"one", "two"} & set(
        page.evaluate("Object.keys(window)")
    )
    page.locator("#one .here").focus()
    page.keyboard.press("g")
    grids = page.evaluate("['one', 'two'].map((id) => document.getElementById(id).viewer.getState().overlays.grid)")
    assert grids == [True, False]
