"""Models to compare with: loaded when asked for, few at a time; their answers beside each other."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from app import models
from app.cache import footprint
from app.models import MAIN, MOST_LOADED, REGULAR, ModelShelf, UnknownModelError, check_exists
from app.service import ForgottenError, Service
from app.tabs.compare import START, prediction_rows, same_clip, shown_keys, wanted_keys
from sifa_core import Analysis, Clip, analyze
from sifa_core.errors import CheckpointError, QueryError, UnknownNameError
from sifa_core.explain.studies.ablation import without_offsets
from sifa_core.models import VideoModel
from tests.payloads import payload_of

MakeClip = Callable[..., Clip]


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


def test_another_model_sees_the_same_clip_once(service: Service, model: VideoModel) -> None:
    token = service.open_example("earth_rotates")
    own = service.seen_by(token, MAIN)
    assert own.payload is service.payload(token)
    assert own.predictions == service.analysis(token).predictions
    before = service.cache.nbytes
    other = service.seen_by(token, REGULAR)
    assert service.seen_by(token, REGULAR) is other
    alone = analyze(without_offsets(model), service.analysis(token).clip)
    assert other.predictions == alone.predictions
    assert other.payload == payload_of(alone)
    assert other.clip == own.clip
    assert service.cache.nbytes == before + footprint(other), "it counts towards the limit"
    with pytest.raises(UnknownModelError):
        service.seen_by(token, "other-1")
    with pytest.raises(ForgottenError):
        service.seen_by("nobody's", REGULAR)


def test_a_model_that_was_put_away_leaves_memory(model: VideoModel, checkpoint: Path, make_clip: MakeClip) -> None:
    service = Service(model, compare=[str(checkpoint)] * (MOST_LOADED + 1))
    token = service.analyze(make_clip())
    first = weakref.ref(service.models.get("other-1"))
    for number in range(1, MOST_LOADED + 2):
        service.seen_by(token, f"other-{number}")
    gc.collect()
    assert first() is None, "what is kept of its sight does not hold the model"


def test_rows_hold_the_best_of_both_and_their_difference(analysis: Analysis) -> None:
    one = analysis.predictions
    label, probability = one[0]
    rows = prediction_rows(one, [("new", 0.9), (label, 0.05)])
    assert rows is not None
    assert rows[0] == {"label": "new", "values": [None, 0.9], "difference": None}
    by_label = {row["label"]: row for row in rows}
    assert by_label[label]["values"] == [probability, 0.05]
    assert by_label[label]["difference"] == pytest.approx(0.05 - probability)
    assert len(rows) == 6
    assert prediction_rows(one, None) is None


def test_what_a_browser_says_it_shows_is_checked() -> None:
    known = {MAIN: "", REGULAR: "", "other-1": ""}
    assert same_clip({"shown": ["abc", MAIN, REGULAR]}, "abc")
    assert shown_keys({"shown": ["abc", "other-1", MAIN]}, known) == ("other-1", MAIN)
    for wrong in ({}, {"shown": 3}, {"shown": []}, {"shown": ["abc"]}, {"shown": ["abc", "x", MAIN]}):
        assert shown_keys(wrong, known) == START
    for wrong in ({}, {"shown": None}, {"shown": [""]}):
        assert not same_clip(wrong, "abc")


def test_a_choice_names_a_model_for_each_side() -> None:
    assert wanted_keys({}) is wanted_keys({"wanted": None}) is None
    assert wanted_keys({"wanted": [MAIN, "other-1"]}) == (MAIN, "other-1")
    for wrong in (3, [], [MAIN], [MAIN, 3], [MAIN] * 3, {MAIN: MAIN}):
        with pytest.raises(QueryError, match="a model for each side"):
            wanted_keys({"wanted": wrong})
