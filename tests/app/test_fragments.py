"""The line about the clip: what it says, and that no text in it is anything but text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app import fragments
from sifa_core import Clip

NASTY = '"><img src=x onerror=alert(1)>${7*7}.mp4'


def test_names_of_files_are_escaped(make_clip: Callable[..., Clip]) -> None:
    html = fragments.clip_facts(make_clip(name=NASTY))
    assert "<img" not in html
    assert "&lt;img src=x onerror" in html


def test_clip_facts_tell_warnings(make_clip: Callable[..., Clip]) -> None:
    clip = make_clip()
    warned = replace(clip, source=replace(clip.source, warnings=("The last frame is repeated.",)))
    assert "The last frame is repeated." in fragments.clip_facts(warned)
