"""What the Learn tab sends to the browser: the numbers of the API, as plain JSON."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.tabs import learn
from sifa_core import Analysis
from sifa_core.explain.studies.equations import explain_equations
from tests.app import formulas


@pytest.mark.parametrize("layer", ["res4.1", "res5.1"])
def test_the_lesson_holds_the_numbers_of_the_equations(analysis: Analysis, layer: str) -> None:
    selection = analysis.select((1, 20, 30), layer, 1)
    steps = explain_equations(analysis, selection.query, layer)
    value = json.loads(json.dumps(learn.lesson_of(analysis, selection, steps), allow_nan=False))
    assert value["choice"] == {"t": 1, "x": 20, "y": 30, "layer": layer, "levels": 1}
    assert value["cell"] == list(steps.cell)
    assert value["frames"] == [1, 2]
    for name, exact in (("regular", steps.regular), ("deformed", steps.deformed)):
        np.testing.assert_allclose(value[name]["weights"], exact.weights, rtol=1e-5)
        np.testing.assert_allclose(value[name]["products"], exact.products, rtol=1e-5)
        np.testing.assert_allclose(value[name]["points"], exact.points, rtol=1e-5)
    change = value["features"]["change"]
    order = np.argsort(-np.abs(steps.difference), kind="stable")[: learn.CHANNELS]
    assert change["numbers"] == order.tolist()
    np.testing.assert_allclose(change["difference"], steps.difference[order], rtol=1e-5)
    shown = value["features"]["output"]
    np.testing.assert_allclose(shown["output"], steps.output[shown["numbers"]], rtol=1e-5)
    # What the page says adds up does add up, in what is sent.
    gather = value["features"]["gather"]
    weights = np.array(value["regular"]["weights"])
    np.testing.assert_allclose(weights @ np.array(gather["keys"]), gather["aggregate"], rtol=1e-3, atol=1e-6)
    blend = value["features"]["blend"]
    weights = np.array(value["cornerWeights"][int(np.argmax(value["deformed"]["weights"]))])
    np.testing.assert_allclose(weights @ np.array(blend["corners"]), blend["key"], rtol=1e-3, atol=1e-6)


def test_the_last_frame_is_compared_with_itself(analysis: Analysis) -> None:
    selection = analysis.select((3, 20, 30), "res4.1", 1)
    value = learn.lesson_of(analysis, selection, explain_equations(analysis, selection.query, "res4.1"))
    assert value["frames"] == [3, 3]
    assert set(value["features"]["change"]["difference"]) == {0.0}


def test_numbers_that_json_lacks_are_left_out() -> None:
    assert learn._plain(np.array([[np.nan, np.inf], [-np.inf, 1.23456789]])) == [[0, 1e30], [-1e30, 1.23457]]


def test_seven_lessons_with_words_for_every_symbol() -> None:
    lessons = formulas.words()["lessons"]
    assert [lesson["number"] for lesson in lessons] == [1, 2, 3, 4, 5, 6, 7]
    for lesson in lessons:
        assert lesson["title"]
        assert all(meaning for _, meaning in lesson["symbols"])


def test_formulas_are_typeset_from_their_latex() -> None:
    assert formulas.PATH.read_text(encoding="utf-8") == formulas.script(), "lessons.json has changed: run make formulas"
    names = set(re.findall(r'named\("(\w+)"', (formulas.TABS / "learn_steps.js").read_text(encoding="utf-8")))
    assert names == set(formulas.words()["symbols"])
