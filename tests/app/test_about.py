"""The About tab says what is so, and shows what a checkpoint says of itself as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.tabs import about
from sifa_core.models import VideoModel
from sifa_core.ops import backend

NASTY = '"><img src=x onerror=alert(1)>${7*7} **bold** [x](javascript:alert(1))'


@pytest.fixture
def restored(model: VideoModel):
    info = model.info
    yield model
    model.info = info


def test_facts_of_the_model(model: VideoModel) -> None:
    html = about.about_model(model)
    assert f"{sum(parameter.numel() for parameter in model.parameters()):,}" in html
    for text in (model.info.name, model.info.sha256, *model.info.labels, *model.sifa_layers()):
        assert text in html


def test_what_a_checkpoint_says_is_text(restored: VideoModel) -> None:
    labels = tuple(f"{NASTY} {number}" for number in range(len(restored.info.labels)))
    restored.info = replace(restored.info, labels=labels, source=NASTY, facts={"notes": NASTY, NASTY: [1, 2]})
    html = about.about_model(restored)
    assert "<img" not in html
    assert html.count("&lt;img") == len(labels) + 3
    assert about.model_card(restored.info) == "", "only the program's own card is rendered as Markdown"


def test_long_facts_are_cut(restored: VideoModel) -> None:
    restored.info = replace(restored.info, facts={"log": "x" * 100_000})
    assert len(about.about_model(restored)) < 100_000


def test_an_untrained_model_claims_no_classes(restored: VideoModel) -> None:
    restored.info = replace(restored.info, status="untrained", labels=("secret class",), source="")
    html = about.about_model(restored)
    assert "secret class" not in html
    assert "Random weights" in html


def test_the_card_is_that_of_the_shipped_weights(model: VideoModel) -> None:
    demo = replace(model.info, status="demo", source="sifa_net_tiny.safetensors")
    assert "Accuracy" in about.model_card(demo)
    assert about.model_card(replace(demo, source="another.safetensors")) == ""


def test_the_server_tells_its_back_end_and_limits(model: VideoModel) -> None:
    html = about.about_server(model)
    assert f"<b>{backend()}</b>" in html
    for figure in ("200 MB", "60 s", "360 pixels", "16 frames"):
        assert figure in html
    assert "10 minutes" in about.privacy()


def test_everyone_whose_work_is_used_is_named() -> None:
    html = about.licences()
    for name in ("NASA Earth Observatory", "David Pagnon", "imageio", "Microsoft Fluent Emoji", "Aitzol Berasategi"):
        assert name in html
    assert html.count("<tr>") > 15
