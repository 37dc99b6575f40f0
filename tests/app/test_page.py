"""What the page is built of: parts that the front end fills, and nothing of a clip or a model in what it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.bundle import host, part, program
from app.page import build_page, charts_of, masthead_value
from app.service import Service
from sifa_core.models import VideoModel


def test_names_are_told_as_values_and_not_as_program(service: Service) -> None:
    component = host("masthead", {"model": "${7*7}"})
    assert component.value == {"model": "${7*7}"}
    assert "$" not in component.html_template
    assert "{" not in component.html_template
    assert component.js_on_load == part("masthead")
    scripts = [getattr(block, "js_on_load", None) or "" for block in build_page(service).blocks.values()]
    assert sum(script.count(program()) for script in scripts) == 1, "the program is sent once"


def test_every_part_of_the_page_is_one_of_the_program(service: Service) -> None:
    blocks = build_page(service).blocks.values()
    pushed = [script.rsplit("push(", 1)[1] for block in blocks if "sifaParts" in (script := _script(block))]
    names = [script.split("'")[1] for script in pushed]
    assert len(set(names)) == len(names) >= 11
    registered = program().rsplit("masthead:", 1)[0].rsplit("{", 1)[1] + program().rsplit("masthead:", 1)[1]
    for name in names:
        assert name == "masthead" or f"{name}:" in registered


@pytest.mark.parametrize(
    ("status", "words"), [("demo", "demo"), ("own", "own"), ("untrained", "untrained – predictions hidden")]
)
def test_the_first_line_says_what_the_model_is(model: VideoModel, status: str, words: str) -> None:
    info = replace(model.info, status=status)
    value = masthead_value(info, [("explore", "Explore")])
    assert (value["model"], value["badge"]) == (model.info.name, words)
    assert ("predictions" in charts_of(info)) == (status != "untrained")


def _script(block: object) -> str:
    return getattr(block, "js_on_load", None) or ""
