"""Models to compare with: loaded when asked for, few at a time; their answers beside each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app import models
from app.cache import Kept, footprint
from app.models import MAIN, REGULAR, ModelShelf, UnknownModelError, check_exists
from app.service import ForgottenError, Service
from app.tabs.compare import START, prediction_rows, same_clip, shown_keys
from sifa_core import Analysis
from sifa_core.errors import CheckpointError, UnknownNameError
from sifa_core.models import VideoModel


def test_models_are_loaded_when_asked_for_and_few_are_kept(
    model: VideoModel, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = models.load_model
    monkeypatch.setattr(models, "load_model", lambda name, **where: loaded.append(name) or load(name, **where))
    shelf = ModelShelf(model, [str(checkpoint)] * 3)
    assert list(shelf.titles) == [MAIN, REGULAR, "other-1", "other-2", "other-3"]
    assert shelf.titles["other-1"] == "random.safetensors", "no folder of the server is told"
    assert loaded == []
    assert shelf.get(MAIN) is model
    assert shelf.get(REGULAR) is shelf.get(REGULAR)
    assert loaded == []
    first = shelf.get("other-1")
    assert shelf.get("other-1") is first
    assert len(loaded) == 1
    shelf.get("other-2")
    shelf.get("other-3")
    assert shelf.get("other-1") is not first, "the least recently used one has gone"
    assert len(loaded) == 4


def test_unknown_models(model: VideoModel, tmp_path: Path) -> None:
    shelf = ModelShelf(model, [str(tmp_path / "gone.safetensors")])
    for key in ("../secret", "other-2", ""):
        with pytest.raises(UnknownModelError):
            shelf.get(key)
    with pytest.raises(CheckpointError, match=r"no checkpoint file gone\.safetensors"):
        shelf.get("other-1")


def test_what_does_not_exist_is_told_before_the_page_is_served(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("sifa_net_tiny", str(checkpoint), "hf://somebody/something"):
        check_exists(name)
    with pytest.raises(UnknownNameError):
        check_exists("resnet")
    with pytest.raises(CheckpointError):
        check_exists(str(tmp_path / "none.safetensors"))


def test_another_model_sees_the_same_clip_once(service: Service) -> None:
    token = service.open_example("earth_rotates")
    assert service.compared(token, MAIN) is service.kept(token)
    before = service.cache.nbytes
    other = service.compared(token, REGULAR)
    assert service.compared(token, REGULAR) is other
    assert other.analysis.clip is service.analysis(token).clip
    assert not other.analysis.traces["res4.0"].offset.any()
    assert other.payload["model"]["name"].endswith("without offsets")
    assert service.cache.nbytes == before + footprint(other), "it counts towards the limit"
    with pytest.raises(UnknownModelError):
        service.compared(token, "other-1")
    with pytest.raises(ForgottenError):
        service.compared("nobody's", REGULAR)


def test_rows_hold_the_best_of_both_and_their_difference(analysis: Analysis) -> None:
    one, other = Kept(analysis, {}), Kept(Analysis.__new__(Analysis), {})
    other.analysis.info = analysis.info
    other.analysis.__dict__["predictions"] = [("new", 0.9), (analysis.predictions[0][0], 0.05)]
    rows = prediction_rows(one, other)
    assert rows is not None
    assert [rows[0]["label"], rows[0]["values"], rows[0]["difference"]] == ["new", [None, 0.9], None]
    by_label = {row["label"]: row for row in rows}
    label, probability = analysis.predictions[0]
    assert by_label[label]["values"] == [probability, 0.05]
    assert by_label[label]["difference"] == pytest.approx(0.05 - probability)
    assert len(rows) == 6
    other.analysis.info = replace(analysis.info, status="untrained")
    assert prediction_rows(one, other) is None


def test_what_a_browser_says_it_shows_is_checked(analysis: Analysis) -> None:
    kept, known = Kept(analysis, {}), {MAIN: "", REGULAR: "", "other-1": ""}
    sha = analysis.clip.sha256
    assert same_clip({"shown": [sha, MAIN, REGULAR]}, kept)
    assert shown_keys({"shown": [sha, "other-1", MAIN]}, known) == ("other-1", MAIN)
    for wrong in ({}, {"shown": 3}, {"shown": []}, {"shown": [sha]}, {"shown": [sha, "x", MAIN]}):
        assert shown_keys(wrong, known) == START
    for wrong in ({}, {"shown": None}, {"shown": [""]}):
        assert not same_clip(wrong, kept)
