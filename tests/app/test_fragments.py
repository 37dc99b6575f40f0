"""Pieces of HTML: what they say, and that no text in them is anything but text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import fragments
from sifa_core import Clip
from sifa_core.models import VideoModel

NASTY = '"><img src=x onerror=alert(1)>${7*7}.mp4'


@pytest.mark.parametrize(
    ("status", "words"), [("demo", ">demo<"), ("own", ">own<"), ("untrained", "untrained – predictions hidden")]
)
def test_header_says_what_the_model_is(model: VideoModel, status: str, words: str) -> None:
    html = fragments.header(replace(model.info, status=status), "")
    assert words in html
    assert model.info.name in html


def test_names_of_files_and_models_are_escaped(model: VideoModel, make_clip: Callable[..., Clip]) -> None:
    for html in (
        fragments.clip_facts(make_clip(name=NASTY)),
        fragments.header(replace(model.info, name=NASTY), ""),
        fragments.failure(NASTY),
        fragments.progress(NASTY),
    ):
        assert "<img" not in html
        assert "&lt;img src=x onerror" in html


def test_clip_facts_tell_warnings(make_clip: Callable[..., Clip]) -> None:
    clip = make_clip()
    warned = replace(clip, source=replace(clip.source, warnings=("The last frame is repeated.",)))
    assert "The last frame is repeated." in fragments.clip_facts(warned)
