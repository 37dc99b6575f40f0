"""The test of the class evidence on the page: the study's own numbers, once for each picture, and text as text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app import charts
from app.explorer import evidence_of
from app.faithfulness_panel import verdict_html
from app.service import EvictedError, Service
from sifa_core import Analysis, Clip
from sifa_core.errors import QueryError
from sifa_core.explain.studies.faithfulness import ORDERS, Faithfulness, faithfulness

NASTY = "<img src=x onerror=alert(1)> & שלום"


@pytest.fixture(scope="module")
def found(analysis: Analysis) -> Faithfulness:
    return faithfulness(analysis)


def test_a_picture_is_tested_once_and_another_one_again(service: Service, make_clip) -> None:
    clip: Clip = make_clip()
    token = service.analyze(clip)
    told: list[float] = []
    first = service.faithfulness(token, evidence_of(None), lambda done, step: told.append(done))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert service.faithfulness(token, evidence_of(None), lambda done, step: told.append(-1)) is first
    assert told[-1] == 1.0, "the second answer is the stored one"
    other = service.faithfulness(token, evidence_of({"evidence": {"target": 3}}), lambda done, step: None)
    assert other.target == 3 != first.target
    with pytest.raises(EvictedError):
        service.faithfulness("nobody's", evidence_of(None), lambda done, step: None)


@pytest.mark.parametrize("shown", [[1], "res4", {"target": [1]}, {"stage": {}}, {"method": 0.5}])
def test_a_choice_is_checked(shown: object) -> None:
    with pytest.raises(QueryError, match="holds stage, target, against and method"):
        evidence_of({"evidence": shown})


def test_curves_are_those_of_the_study(found: Faithfulness) -> None:
    for curve in charts.FAITHFULNESS_TITLES:
        figure = charts.faithfulness_chart(found, curve)
        assert len(figure.data) == len(ORDERS)
        by_name = {trace.name: trace for trace in figure.data}
        np.testing.assert_allclose(by_name["as the picture says"].y, getattr(found, curve)["evidence"])
        np.testing.assert_allclose(by_name["in random order"].y, getattr(found, curve)["random"])
        np.testing.assert_allclose(by_name["where it changes most"].x, found.fractions)


def test_the_verdict_says_what_was_tested_and_its_texts_are_text(analysis: Analysis, found: Faithfulness) -> None:
    nasty = replace(found, target=0, against=1, verdict=[f"Headline {NASTY}", f"Sentence {NASTY}"])
    html = verdict_html(analysis, nasty)
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt; &amp; שלום") == 2
    first, second = analysis.info.labels[:2]
    assert f"Tested: “{first}” rather than “{second}”, integrated gradients in {found.layer}." in html
    assert 'class="verdict warn"' in verdict_html(analysis, replace(found, faithful=False))
    assert 'class="verdict fine"' in verdict_html(analysis, replace(found, faithful=True))
