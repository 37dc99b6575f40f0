"""The store of analyses: bounded by bytes, oldest use first out, found by token only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.cache import AnalysisCache, CacheEntry, footprint
from sifa_core import Clip, analyze
from sifa_core.errors import ClipTooLargeError
from sifa_core.models import VideoModel


@pytest.fixture(scope="module")
def several(model: VideoModel, make_clip: Callable[..., Clip]) -> list[CacheEntry]:
    return [CacheEntry(analyze(model, make_clip(seed)), {"picture": "x" * 1000}) for seed in range(4)]


def test_footprint_counts_arrays_wherever_they_are() -> None:
    values = {
        "a": np.zeros(10, np.float32),
        "b": [torch.zeros(3, dtype=torch.float64), (np.zeros(5, np.uint8),)],
        "c": 7,
        "d": {"e": "twelve bytes"},
    }
    assert footprint(values) == 40 + 24 + 5 + 12


def test_footprint_of_an_analysis_has_frames_input_and_traces_but_no_model(
    model: VideoModel, make_clip: Callable[..., Clip]
) -> None:
    analysis = analyze(model, make_clip())  # a fresh one: what is asked of it later is remembered, and counts too
    traces = sum(footprint(trace) for trace in analysis.traces.values())
    offsets = sum(trace.offset.nbytes + trace.weights.nbytes for trace in analysis.traces.values())
    assert traces > offsets > 0
    frames, stride = analysis.clip.frames.nbytes, analysis.model.spatial_stride
    side = analysis.info.input_size
    height, width = (round(n * side / 72 / stride) * stride for n in (72, 96))
    video = 3 * 16 * height * width * 4
    least = frames + traces + video
    assert least <= footprint(analysis) < least + 100_000
    assert sum(p.nbytes for p in analysis.model.parameters()) > 1_000_000  # had they counted, it would show


def test_footprint_of_an_entry_has_the_payload_too(several: list[CacheEntry]) -> None:
    entry = several[0]
    assert footprint(entry) == footprint(entry.analysis) + footprint(entry.payload)
    assert footprint(entry.payload) == 1000


def test_holds_at_most_its_bytes_and_lets_the_least_recently_used_go(several: list[CacheEntry]) -> None:
    size = footprint(several[0])
    cache = AnalysisCache(int(size * 2.5))
    first, second = cache.put(several[0]), cache.put(several[1])
    assert cache.get(first) is several[0]  # now the second is the one used longest ago
    third = cache.put(several[2])
    assert cache.get(second) is None
    assert cache.get(first) is several[0]
    assert cache.get(third) is several[2]
    assert len(cache) == 2
    assert cache.nbytes == 2 * size <= cache.max_bytes


def test_what_alone_is_too_large_is_refused_and_nothing_goes(several: list[CacheEntry]) -> None:
    cache = AnalysisCache(footprint(several[0]))
    token = cache.put(several[0])
    with pytest.raises(ClipTooLargeError, match=r"noise\.mp4 takes \d+ MB"):
        cache.put(replace(several[1], extras={"one byte": "x"}))
    assert cache.get(token) is several[0]
    cache.add(token, "too much", "x")
    assert cache.get(token) is several[0], "what does not fit beside it does not drive it out"


def test_what_is_added_counts_and_lets_others_go(several: list[CacheEntry]) -> None:
    size = footprint(several[0])
    cache = AnalysisCache(2 * size + 10)
    first, second = cache.put(several[0]), cache.put(several[1])
    cache.add(first, "few", "x" * 10)
    assert cache.nbytes == 2 * size + 10
    cache.add(first, "more", "x")
    assert cache.get(second) is None
    entry = cache.get(first)
    assert entry is not None
    assert entry.extras == {"few": "x" * 10, "more": "x"}
    assert cache.nbytes == size + 11
    cache.add(second, "late", "x")
    assert len(cache) == 1


def test_tokens_are_long_and_never_the_same(several: list[CacheEntry]) -> None:
    cache = AnalysisCache(10**9)
    tokens = {cache.put(several[0]) for _ in range(50)}
    assert len(tokens) == 50
    assert min(map(len, tokens)) >= 32
    assert cache.get("") is None
    assert cache.get("0" * 32) is None
