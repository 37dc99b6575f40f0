"""Models to compare with: loaded when asked for, few at a time; their answers beside each other."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import models
from app.cache import footprint
from app.models import MAIN, MOST_LOADED, REGULAR, ModelPool, UnknownModelError, check_exists
from app.service import EvictedError, Service
from app.tabs.compare import prediction_rows
from sifa_core import Analysis, Clip, analyze
from sifa_core.errors import CheckpointError, UnknownNameError
from sifa_core.explain.studies.ablation import without_offsets
from sifa_core.inference import public_predictions
from sifa_core.models import VideoModel
from tests.payloads import payload_of

MakeClip = Callable[..., Clip]


def public(analysis: Analysis) -> Any:
    return public_predictions(analysis.info, analysis.predictions)


def test_models_are_loaded_when_asked_for_and_few_stay(
    model: VideoModel, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = models.load_model
    monkeypatch.setattr(models, "load_model", lambda name, **where: loaded.append(name) or load(name, **where))
    pool = ModelPool(model, [str(checkpoint)] * 3)
    assert list(pool.titles) == [MAIN, REGULAR, "other-1", "other-2", "other-3"]
    assert pool.titles["other-1"] == "random.safetensors", "no folder of the server is told"
    assert loaded == []
    assert pool.get(MAIN) is model
    assert pool.get(REGULAR) is pool.get(REGULAR)
    assert loaded == []
    first = pool.get("other-1")
    assert pool.get("other-1") is first
    assert len(loaded) == 1
    pool.get("other-2")
    pool.get("other-3")
    assert pool.get("other-1") is not first, "the least recently used one has gone"
    assert len(loaded) == 4


def test_unknown_models(model: VideoModel, tmp_path: Path) -> None:
    pool = ModelPool(model, [str(tmp_path / "gone.safetensors")])
    for key in ("../secret", "other-2", ""):
        with pytest.raises(UnknownModelError):
            pool.get(key)
    with pytest.raises(CheckpointError, match=r"no checkpoint file gone\.safetensors"):
        pool.get("other-1")


def test_what_does_not_exist_is_told_before_the_page_is_served(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("sifa_net_tiny", str(checkpoint), "hf://somebody/something"):
        check_exists(name)
    with pytest.raises(UnknownNameError):
        check_exists("resnet")
    with pytest.raises(CheckpointError):
        check_exists(str(tmp_path / "none.safetensors"))


def test_another_model_runs_on_the_same_clip_once(service: Service, model: VideoModel) -> None:
    token = service.open_example("earth_rotates")
    own = service.model_view(token, MAIN)
    assert own.payload is service.payload(token)
    assert own.predictions == public(service.analysis(token))
    before = service.cache.nbytes
    other = service.model_view(token, REGULAR)
    assert service.model_view(token, REGULAR) is other
    alone = analyze(without_offsets(model), service.analysis(token).clip)
    assert other.predictions == public(alone)
    assert other.payload == payload_of(alone)
    assert other.clip == own.clip
    assert service.cache.nbytes == before + footprint(other), "it counts towards the limit"
    with pytest.raises(UnknownModelError):
        service.model_view(token, "other-1")
    with pytest.raises(EvictedError):
        service.model_view("nobody's", REGULAR)


def test_a_model_that_made_room_leaves_memory(model: VideoModel, checkpoint: Path, make_clip: MakeClip) -> None:
    service = Service(model, compare=[str(checkpoint)] * (MOST_LOADED + 1))
    token = service.analyze(make_clip())
    first = weakref.ref(service.models.get("other-1"))
    for number in range(1, MOST_LOADED + 2):
        service.model_view(token, f"other-{number}")
    gc.collect()
    assert first() is None, "its view in the cache does not hold the model"


def test_rows_hold_the_best_of_both_and_their_difference(analysis: Analysis) -> None:
    one = public(analysis)
    label, probability = analysis.predictions[0]
    rows = prediction_rows(one, [{"label": "new", "probability": 0.9}, {"label": label, "probability": 0.05}])
    assert rows is not None
    assert rows == sorted(rows, key=lambda row: -max(value or 0.0 for value in row["values"]))
    by_label = {row["label"]: row for row in rows}
    assert by_label["new"] == {"label": "new", "values": [None, 0.9], "difference": None}
    assert by_label[label]["values"] == [probability, 0.05]
    assert by_label[label]["difference"] == pytest.approx(0.05 - probability)
    assert len(rows) == 6
    assert prediction_rows(one, None) is None
