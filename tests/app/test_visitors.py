"""Twenty visitors at once: everybody gets the answer for their own clip, and memory stays bounded."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file

from app.service import EvictedError, Service
from sifa_core import Clip, analyze, read_clip
from sifa_core.data.mp4 import write_mp4
from sifa_core.models import VideoModel
from tests.serving import served

VISITORS = 20
ROOM_FOR = 5
"""Analyses that the cache of the first test holds."""
MOST_GROWTH = 600_000_000
"""Bytes by which the process may grow over twenty requests; one analysis of so small a clip takes about 10 MB."""


def test_analyses_of_twenty_at_once_are_their_own_and_bounded(
    model: VideoModel, make_clip: Callable[..., Clip]
) -> None:
    clips = [make_clip(seed) for seed in range(VISITORS)]
    service = Service(model)
    first = service.analyze(clips[0])
    service.cache = type(service.cache)(ROOM_FOR * service.cache.nbytes)
    with ThreadPoolExecutor(VISITORS) as pool:
        tokens = list(pool.map(service.analyze, clips))
    assert len({first, *tokens}) == VISITORS + 1
    assert service.cache.nbytes <= service.cache.max_bytes
    assert len(service.cache) == ROOM_FOR
    found = 0
    for token, clip in zip(tokens, clips, strict=True):
        try:
            analysis = service.analysis(token)
        except EvictedError:
            continue
        found += 1
        assert analysis.clip.sha256 == clip.sha256
        assert (analysis.logits == analyze(model, clip).logits).all()
        assert service.payload(token)["clip"]["sha256"] == clip.sha256
    assert found == ROOM_FOR


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small video for each visitor; a bar of a brightness of its own moves at a speed of its own."""
    folder = tmp_path_factory.mktemp("visitors")
    paths = []
    for visitor in range(VISITORS):
        path = folder / f"visitor {visitor}.mp4"
        pictures = np.full((16, 64, 96, 3), 30, np.uint8)
        for number, picture in enumerate(pictures):
            left = (number * (1 + visitor % 4)) % 80
            picture[:, left : left + 12] = 90 + 8 * visitor
        write_mp4(path, pictures, 16)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def address(model: VideoModel) -> Iterator[str]:
    with served(Service(model)) as page:
        yield page.address


def test_uploads_of_twenty_at_once_get_their_own_answers(address: str, videos: list[Path], model: VideoModel) -> None:
    def ask(path: Path) -> dict:
        answer: dict = Client(address, verbose=False).predict(handle_file(str(path)), top=15, api_name="/predict")
        return answer

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(ask, videos))
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    for path, answer in zip(videos, answers, strict=True):
        assert answer["clip"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        alone = dict(analyze(model, read_clip(path, model.info.num_frames)).predictions)
        told = {row["label"]: row["probability"] for row in answer["predictions"]}
        assert told == pytest.approx(alone, abs=1e-6)
    assert len({answer["clip"]["sha256"] for answer in answers}) == VISITORS
    assert growth < MOST_GROWTH
