"""What a browser says it shows is checked before a file is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.cache import CacheEntry
from app.explorer import build_explorer, evidence_source, explorer_value, layer_source, selection_of
from app.models import MAIN, REGULAR
from app.service import Service
from sifa_core import Analysis, Clip
from sifa_core.errors import QueryError
from sifa_core.explain.render.payload import evidence_map
from sifa_core.explain.viewer import viewer_styles


def good(analysis: Analysis) -> dict[str, Any]:
    return {"t": 1, "x": 20.5, "y": 30, "layer": analysis.layers[-1], "levels": 2}


def test_a_choice_becomes_a_selection(analysis: Analysis) -> None:
    selection = selection_of(analysis, good(analysis))
    assert (selection.query, selection.layer, selection.levels) == ((1, 20.5, 30.0), analysis.layers[-1], 2)
    assert selection.target == int(analysis.logits.argmax())


def test_no_choice_is_the_analysis_own(analysis: Analysis) -> None:
    assert selection_of(analysis, None) == analysis.select()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"t": 99}, "There is no feature frame 99"),
        ({"t": None}, "A query is"),
        ({"t": "1; rm"}, "A query is"),
        ({"x": 5000}, r"The point \(5000, 30\) is outside"),
        ({"x": float("nan")}, r"The point \(nan, 30\) is outside"),
        ({"y": {}}, "A query is"),
        ({"layer": "res9.9"}, "There is no SIFA layer 'res9.9'"),
        ({"layer": ["res5.1"]}, "layer's name"),
        ({"levels": 3}, "levels=3"),
        ({"levels": "2"}, "number of levels"),
        ({"levels": 2.5}, "number of levels"),
    ],
)
def test_an_impossible_choice_is_told(analysis: Analysis, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(QueryError, match=sentence):
        selection_of(analysis, good(analysis) | wrong)


@pytest.mark.parametrize("choice", ["", 7, [1, 2], [{}]])
def test_what_is_no_choice_is_told(analysis: Analysis, choice: Any) -> None:
    with pytest.raises(QueryError, match="A choice holds"):
        selection_of(analysis, choice)


def test_nothing_of_a_clip_gets_into_the_template_or_the_script(service: Service, analysis: Analysis) -> None:
    component = build_explorer(service)
    entry = CacheEntry(analysis, {"clip": {"name": "${7*7}"}})
    value = component.postprocess(explorer_value(entry, "key"))
    shown = {"example": "", "window": None, "token": "key", "model": MAIN}
    assert value == {**shown, "analysis": {"clip": {"name": "${7*7}"}}}
    assert "$" not in component.html_template
    assert "{" not in component.html_template
    assert viewer_styles()[:40] in component.js_on_load


def test_a_layer_is_fetched_by_whoever_holds_the_token(service: Service) -> None:
    token = service.open_example("earth_rotates")
    source = layer_source(service)

    def fetch(token: Any, model: Any, layer: Any) -> dict[str, str]:
        return source({"token": token, "model": model, "layer": layer})

    payload = service.payload(token)
    for layer in payload["layers"]:
        assert fetch(token, MAIN, layer["name"]) == {key: layer[key] for key in ("offset", "weights", "saliency")}
    regular = fetch(token, REGULAR, "res4.1")
    assert regular["offset"] != payload["layers"][2]["offset"], "the same clip without offsets"
    assert "open it again" in fetch("no-such-token", MAIN, "res4.1")["error"]
    assert "'res9.9'" in fetch(token, MAIN, "res9.9")["error"]
    assert "error" in fetch(token, "no-such-model", "res4.1")
    for wrong in (source({"token": token, "model": MAIN, "layer": ["res4.1"]}), source("res4.1")):
        assert wrong["error"] == "This is asked for with token, model, layer."


def test_class_evidence_is_fetched_by_whoever_holds_the_token(service: Service, make_clip: Callable[..., Clip]) -> None:
    token = service.analyze(make_clip())
    analysis = service.analysis(token)
    fetch = evidence_source(service)
    asked = {"method": "layer_cam", "stage": "res3", "target": 2, "against": 5}
    found = fetch({"token": token, "evidence": asked})
    assert found == evidence_map(analysis, "res3", 2, "layer_cam", 5)
    assert fetch({"token": token})["method"] == "integrated_gradients"
    assert "no class 99" in fetch({"token": token, "evidence": {"target": 99}})["error"]
    assert "holds stage" in fetch({"token": token, "evidence": [1]})["error"]
    assert "open it again" in fetch({"token": "no-such-token", "evidence": asked})["error"]


def test_a_choice_says_which_evidence_a_figure_shows(analysis: Analysis) -> None:
    evidence = {"method": "layer_cam", "stage": "res4", "target": 2, "against": 5}
    selection = selection_of(analysis, good(analysis) | {"evidence": evidence})
    assert (selection.method, selection.stage, selection.target, selection.against) == ("layer_cam", "res4", 2, 5)
    paper = selection_of(analysis, good(analysis) | {"evidence": evidence, "paper": True})
    assert (paper.paper, paper.method, paper.stage, paper.target) == (True, "grad_cam", "res5", 2)
