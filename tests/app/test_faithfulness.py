"""The test of the class evidence on the page: the study's own numbers, once for each picture, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app import charts
from app.questions import Questions
from app.service import EvictedError, Service
from sifa_core import Analysis, Clip
from sifa_core.explain.studies.faithfulness import ORDERS, Faithfulness, faithfulness

OWN = {"layer": None, "target": None, "method": None, "against": None}
"""The picture that the page shows first."""


@pytest.fixture(scope="module")
def found(analysis: Analysis) -> Faithfulness:
    return faithfulness(analysis)


def test_a_picture_is_tested_once_and_another_one_again(service: Service, make_clip) -> None:
    clip: Clip = make_clip()
    token = service.analyze(clip)
    told: list[float] = []
    first = service.faithfulness(token, OWN, lambda done, step: told.append(done))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert service.faithfulness(token, OWN, lambda done, step: told.append(-1)) is first
    assert told[-1] == 1.0, "the second answer is the stored one"
    other = service.faithfulness(token, OWN | {"target": 3}, lambda done, step: None)
    assert other.target == 3 != first.target
    with pytest.raises(EvictedError):
        service.faithfulness("nobody's", OWN, lambda done, step: None)


def test_curves_are_those_of_the_study(found: Faithfulness) -> None:
    for curve in charts.FAITHFULNESS_TITLES:
        figure = charts.faithfulness_chart(found, curve)
        assert len(figure.data) == len(ORDERS)
        by_name = {trace.name: trace for trace in figure.data}
        np.testing.assert_allclose(by_name["as the picture says"].y, getattr(found, curve)["evidence"])
        np.testing.assert_allclose(by_name["in random order"].y, getattr(found, curve)["random"])
        np.testing.assert_allclose(by_name["where it changes most"].x, found.fractions)


def test_the_verdict_says_what_was_tested(
    service: Service, found: Faithfulness, make_clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = replace(found, target=0, against=1, verdict=["Headline.", "Sentence."], faithful=False)
    monkeypatch.setattr(service, "faithfulness", lambda token, asked, tell: tell(0.5, "half") or tested)
    told, answer = Questions(service).faithfulness(service.analyze(make_clip()), target=0, against=1)
    assert told == {"step": "half", "done": 0.5}
    first, second = service.model.info.labels[:2]
    assert answer["tested"] == f"Tested: “{first}” rather than “{second}”, integrated gradients in {found.layer}. "
    assert (answer["headline"], answer["sentences"], answer["faithful"]) == ("Headline.", ["Sentence."], False)
    assert set(answer["charts"]) == set(charts.FAITHFULNESS_TITLES)
