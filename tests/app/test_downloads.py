"""Files to download: whole, harmlessly named, and nothing left behind."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.downloads import KINDS, file_name, pack
from sifa_core import Analysis, Clip, analyze
from sifa_core.errors import QueryError
from sifa_core.models import VideoModel

STARTS = {
    "png": b"\x89PNG",
    "svg": b"<?xml",
    "gif": b"GIF89a",
    "mp4": b"\0\0\0\x20ftyp",
    "html": b"<!doctype html>",
    "json": b"{",
}


@pytest.mark.parametrize("kind", KINDS)
def test_pack_holds_the_file_and_leaves_none(
    analysis: Analysis, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = pack(analysis, analysis.select((1, 20, 30), analysis.layers[0], 1), kind)
    content = base64.b64decode(file["data"])
    assert content[:15].lower().startswith(STARTS[kind].lower())
    assert file["name"] == f"sifa_noise.{kind}"
    assert file["type"] == KINDS[kind]
    assert list(tmp_path.iterdir()) == []
    if kind == "json":
        assert json.loads(content)["query"] == {"t": 1, "x": 20, "y": 30, "layer": analysis.layers[0], "levels": 1}


def test_an_unknown_kind_is_told(analysis: Analysis) -> None:
    with pytest.raises(QueryError, match="no file of the kind 'exe'"):
        pack(analysis, analysis.select(), "exe")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("walk.mp4", "sifa_walk.png"),
        ("../../etc/passwd", "sifa_passwd.png"),
        ("<b>$ {x} & 'y'.mp4", "sifa_b_x_y.png"),
        ("مقطع.mp4", "sifa_clip.png"),
        ("a" * 300 + ".mp4", f"sifa_{'a' * 60}.png"),
    ],
)
def test_file_names_are_harmless(model: VideoModel, make_clip: Callable[..., Clip], name: str, expected: str) -> None:
    assert file_name(analyze(model, make_clip(name=name)), "png") == expected
