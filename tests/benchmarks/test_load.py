"""Visitors of a served page get what is theirs, and a wrong answer is told from a right one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.service import Service
from app.settings import Settings
from benchmarks import load
from benchmarks.served import Page
from benchmarks.visitor import RefusedError, Visitor
from sifa_core import load_model
from tests.serving import served
from tests.small_models import save_with_offsets


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    model = load_model(save_with_offsets(tmp_path_factory.mktemp("weights") / "random.safetensors"))
    with served(Service(model), Settings(session_queue=4, proxies=1)) as page:
        yield Page(page.address, 0)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[load.Sample]:
    return load.make_samples(tmp_path_factory.mktemp("clips"), 2)


def test_every_kind_of_request_gets_its_answer(page: Page, samples: list[load.Sample]) -> None:
    assert len({sample.sha256 for sample in samples}) == 2
    tally = load.Tally()
    visitor = Visitor(page.address, "198.51.100.1")
    for name in load.CHECKS:
        tally.take(name, visitor, samples[0])
    visitor.close()
    assert tally.wrong == []
    assert set(tally.right) == set(load.CHECKS)
    assert len(tally.seconds) == len(load.CHECKS)


def test_the_answer_of_another_clip_is_wrong(page: Page, samples: list[load.Sample]) -> None:
    one, other = samples
    mixed = replace(one, path=other.path)
    tally = load.Tally()
    visitor = Visitor(page.address, "198.51.100.2")
    for name in ("predict", "numbers"):
        tally.take(name, visitor, mixed)
    visitor.close()
    assert [line.split(": ")[2] for line in tally.wrong] == ["the clip of somebody else", "numbers of somebody else"]


def test_what_is_refused_is_told(page: Page, tmp_path: Path) -> None:
    words = tmp_path / "words.mp4"
    words.write_text("words")
    visitor = Visitor(page.address)
    with pytest.raises(RefusedError, match=r"words\.mp4 is not a video"):
        visitor.call("predict", clip=visitor.upload(words))
    with pytest.raises(RefusedError, match="There is no such argument") as refusal:
        visitor.ask("predict", nothing=1)
    assert refusal.value.status == 400
    visitor.close()
