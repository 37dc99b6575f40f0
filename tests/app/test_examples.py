"""Example clips: where a title and what the network says do not agree, the page says so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.examples import SHOWS, find_examples, gallery, remark
from sifa_core.data.motion15 import LABELS
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS


def test_of_every_example_it_is_known_what_it_shows() -> None:
    assert set(SHOWS) == set(find_examples(EXAMPLE_CLIPS))
    assert set(SHOWS.values()) - {""} <= set(LABELS)


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("person_walks_left_close", "object moves left", ""),
        (
            "cockatoo_approaches_camera",
            "object moves left",
            "This clip shows “object comes closer”: the network says “object moves left” and is wrong here.",
        ),
        ("earth_rotates", "still", "None of the network’s classes fits this clip; it says “still”."),
        ("somebody's own", "still", ""),
    ],
)
def test_a_remark_only_where_it_is_needed(model: VideoModel, name: str, said: str, sentence: str) -> None:
    known = replace(model.info, labels=tuple(LABELS))
    assert remark(name, known, [(said, 0.9)]) == sentence
    assert remark(name, replace(known, status="untrained"), [(said, 0.9)]) == ""
    assert remark(name, replace(known, labels=("a", "b")), [("a", 0.9)]) == "", "classes of another data set"


def test_the_gallery_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE_CLIPS / "earth_rotates.mp4", tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (shown,) = gallery(find_examples(tmp_path).values())
    assert (shown["name"], shown["title"]) == ("earth_rotates", "Earth rotates")
    assert shown["thumbnail"].startswith("data:image/jpeg;base64,")
