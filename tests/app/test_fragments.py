"""Pieces of HTML: what they say, and that no text in them is anything but text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import fragments
from sifa_core import Analysis, Clip, analyze, load_model
from sifa_core.models import VideoModel

NASTY = '"><img src=x onerror=alert(1)>${7*7}.mp4'


@pytest.mark.parametrize(
    ("status", "words"), [("demo", ">demo<"), ("own", ">own<"), ("untrained", "untrained – predictions hidden")]
)
def test_header_says_what_the_model_is(model: VideoModel, status: str, words: str) -> None:
    html = fragments.header(replace(model.info, status=status))
    assert words in html
    assert model.info.name in html


def test_names_of_files_and_classes_are_escaped(model: VideoModel, make_clip: Callable[..., Clip]) -> None:
    analysis = analyze(model, make_clip(name=NASTY))
    analysis.info = replace(analysis.info, labels=(NASTY,) * len(analysis.info.labels))
    for html in (
        fragments.clip_facts(analysis.clip),
        fragments.predictions(analysis),
        fragments.failure(NASTY),
        fragments.progress(NASTY),
    ):
        assert "<img" not in html
        assert "&lt;img src=x onerror" in html


def test_predictions_are_the_five_best_in_order(analysis: Analysis) -> None:
    html = fragments.predictions(analysis)
    places = [html.index(f">{label}<") for label, _ in analysis.predictions[:5]]
    assert places == sorted(places)
    assert html.count("<li>") == 5
    assert f"{analysis.predictions[0][1]:.1%}" in html


def test_an_untrained_model_shows_a_reason_instead(make_clip: Callable[..., Clip]) -> None:
    untrained = load_model("sifa_net_tiny")
    untrained.info = replace(untrained.info, status="untrained")
    html = fragments.predictions(analyze(untrained, make_clip()))
    assert "random weights" in html
    assert "%" not in html


def test_statistics_have_a_row_per_layer_and_mark_one(analysis: Analysis) -> None:
    layer = analysis.layers[1]
    html = fragments.statistics(analysis, layer)
    assert html.count('<th scope="row">') == len(analysis.layers)
    assert html.count("aria-current") == 1
    row = html.split(f'<th scope="row">{layer}</th>')[1].split("</tr>")[0]
    figures = analysis.offset_statistics(layer)
    assert f"{figures.mean_magnitude.mean():.2f} cells" in row
    assert f"{figures.out_of_frame.mean():.1%}" in row


def test_clip_facts_tell_warnings(make_clip: Callable[..., Clip]) -> None:
    clip = make_clip()
    warned = replace(clip, source=replace(clip.source, warnings=("The last frame is repeated.",)))
    assert "The last frame is repeated." in fragments.clip_facts(warned)
