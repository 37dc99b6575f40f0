"""The page on another engine: answers from a record, late and out of order, never show another clip than chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.questions import Questions
from app.service import Service
from tests.browser.steps import settle, wait_for_clip
from tests.browser.windows import SIZES

EXAMPLES = ("person_walks_left_close", "earth_rotates")

ENGINE = """
const record = %s;
globalThis.asked = [];
const question = (name) => (question) =>
  new Promise((resolve) => {
    const token = question.token ?? Object.keys(record).find((key) => record[key].open.example === question.example);
    asked.push({ name, token, answer: () => resolve(record[token][name]) });
  });
globalThis.sifaEngine = new Proxy({}, { get: (_, name) => question(name) });
"""


@pytest.fixture(scope="module")
def record(service: Service) -> dict[str, dict[str, Any]]:
    """What the page asks about each example as it is opened, with the answers of the server's own engine."""
    questions, found = Questions(service), {}
    for example in EXAMPLES:
        *_, opened = questions.open_example(example)
        token = opened["token"]
        start = opened["analysis"]["start"]
        frame, x, y = start["query"]
        place = {"frame": frame, "x": x, "y": y, "layer": start["layer"], "levels": start["levels"]}
        found[token] = {
            "open": opened,
            "charts": questions.charts(token, **place),
            "offsets": questions.offsets(token),
            "distributions": questions.distributions(token, start["layer"], frame),
            "controls": questions.controls(token),
            "lesson": questions.lesson(token, **place),
            "compare": questions.compare(token),
        }
    return found


@pytest.fixture
def page(browser: Browser, address: str, record: dict[str, dict[str, Any]]) -> Iterator[Page]:
    width, height = SIZES["desktop"]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.add_init_script(ENGINE % json.dumps(record))
    page.goto(address, wait_until="domcontentloaded")
    yield page
    context.close()


def answer(page: Page, name: str, token: str) -> None:
    """Give the answer of a question once it has been asked."""
    find = "([name, token]) => asked.find((each) => each.name === name && each.token === token)"
    page.wait_for_function(find, arg=[name, token])
    page.evaluate(f"(which) => ({find})(which).answer()", [name, token])
    page.evaluate(
        "([name, token]) => (asked = asked.filter((e) => e.name !== name || e.token !== token))", [name, token]
    )
    settle(page)


def test_late_answers_never_show_another_clip_than_chosen(page: Page, record: dict[str, dict[str, Any]]) -> None:
    tokens = {each["open"]["example"]: token for token, each in record.items()}
    answer(page, "open", tokens[EXAMPLES[0]])
    wait_for_clip(page, f"{EXAMPLES[0]}.mp4")
    page.locator("#charts summary").click()
    before, now = EXAMPLES
    for tab, name in (("explore", "charts"), ("offsets", "offsets"), ("compare", "compare"), ("learn", "lesson")):
        page.locator(f"#to-{tab}").click()
        page.wait_for_function("(name) => asked.some((each) => each.name === name)", arg=name)
        page.locator(f'#examples button[data-name="{now}"]').click()
        answer(page, "open", tokens[now])
        answer(page, name, tokens[now])
        answer(page, name, tokens[before])  # late
        shown = record[tokens[now]]
        if tab == "explore":
            drawn = "document.querySelector('#chart-ranking > div')._fullLayout?.title.text"
            page.wait_for_function(drawn)
            heights = page.evaluate("[...document.querySelector('#chart-predictions > div')._fullData[0].x]")
            best = shown["open"]["analysis"]["predictions"][0]["probability"]
            assert max(heights) == pytest.approx(best)
        elif tab == "offsets":
            lengths = next(each for each in shown["offsets"]["matrix"]["measures"] if each["id"] == "mean_magnitude")
            cells = page.locator("#offset-matrix td button").all_inner_texts()
            assert [float(cell) for cell in cells] == pytest.approx(
                [v for row in lengths["values"] for v in row], abs=0.01
            )
            answer(page, "distributions", tokens[now])
            answer(page, "controls", tokens[now])
            expect(page.locator(".card h3")).to_have_count(5)
        elif tab == "compare":
            expect(page.get_by_role("region", name="Viewer A").locator("h1")).to_have_text(f"{now}.mp4")
            expect(page.get_by_role("region", name="Viewer B").locator("h1")).to_have_text(f"{now}.mp4")
        else:
            choice = shown["lesson"]["choice"]
            expect(page.locator("#learn .place")).to_contain_text(f"({choice['x']:.0f}, {choice['y']:.0f})")
        expect(page.locator("#status .name")).to_have_text(f"{now}.mp4")
        expect(page.locator("#notice .failure")).to_have_count(0)
        before, now = now, before
