"""One model shared by all visitors: reading, analysing, caching, forgetting."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.cache import footprint
from app.service import FRAME_BYTES, EvictedError, Service, UnknownExampleError
from sifa_core import Clip
from sifa_core.data import reading
from sifa_core.data.isolated import Readers
from sifa_core.data.mp4 import write_mp4
from sifa_core.errors import NotAVideoError
from sifa_core.models import VideoModel


def write_video(path: Path, width: int, height: int, frames: int = 18) -> Path:
    pictures = np.zeros((frames, height, width, 3), np.uint8)
    for number, picture in enumerate(pictures):
        picture[:, number * width // frames :][:, : width // 6] = 220
    write_mp4(path, pictures, 24)
    return path


def test_examples_are_found_and_named(service: Service) -> None:
    assert "cockatoo_moves_right" in service.examples
    assert service.examples["earth_rotates"].title == "Earth rotates"
    assert service.examples["person_lands_and_runs_right_slow2x"].title == "Person lands and runs right (slow)"
    assert service.examples["earth_rotates"].thumbnail().startswith("data:image/jpeg;base64,/9j/")


def test_unknown_example_names_the_known(service: Service) -> None:
    with pytest.raises(UnknownExampleError, match=r"no example .*; choose one of: person_walks_left_close, cock"):
        service.open_example("../secret")


def test_an_example_is_analysed_once_and_shared(service: Service) -> None:
    assert service.cached_example("earth_rotates") is None
    token = service.open_example("earth_rotates")
    assert service.open_example("earth_rotates") == service.cached_example("earth_rotates") == token
    assert len(service.cache) == 1
    assert service.analysis(token).clip.source.name == "earth_rotates.mp4"


def test_an_example_that_made_room_is_analysed_again(service: Service) -> None:
    token = service.open_example("earth_rotates")
    service.cache = type(service.cache)(service.cache.max_bytes)
    again = service.open_example("earth_rotates")
    assert again != token
    assert service.analysis(again).clip.source.name == "earth_rotates.mp4"


@pytest.fixture(scope="module")
def warm(model: VideoModel) -> Service:
    """A service that has analysed every example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.service.EXAMPLE_PAUSE", 0.0)
        service = Service(model)
        service.warm_up(threading.Event())
    return service


def test_an_example_brings_its_payload_of_less_than_three_megabytes(warm: Service) -> None:
    service = warm
    for name in service.examples:
        token = service.open_example(name)
        payload = service.payload(token)
        assert payload is service.payload(token)
        assert payload["clip"]["sha256"] == service.analysis(token).clip.sha256
        assert len(json.dumps(payload)) < 3_000_000


def test_each_visitor_has_a_token_of_their_own_even_for_the_same_clip(
    service: Service, make_clip: Callable[..., Clip]
) -> None:
    clip = make_clip()
    first, second = service.analyze(clip), service.analyze(clip)
    assert first != second
    assert service.analysis(first) is not service.analysis(second)


def test_a_forgotten_analysis_is_told_in_words(service: Service) -> None:
    with pytest.raises(EvictedError, match="open it again"):
        service.analysis("no-such-token")


def test_an_analysis_stays_within_twenty_megabytes(service: Service, tmp_path: Path) -> None:
    for width, height in ((1280, 720), (720, 1280)):
        clip = service.read(write_video(tmp_path / f"{width}.mp4", width, height)).clip
        assert min(clip.width, clip.height) == 360
        assert clip.num_frames == service.model.info.num_frames
        assert clip.frames.nbytes <= FRAME_BYTES
        assert footprint(service.entry(service.analyze(clip))) <= 20_000_000


def test_a_very_wide_clip_is_reduced_further_in_one_reading(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    scan = reading.scan_video
    monkeypatch.setattr(service, "readers", Readers(isolate=False))
    monkeypatch.setattr(reading, "scan_video", lambda *given, **more: passes.append(given) or scan(*given, **more))
    clip = service.read(write_video(tmp_path / "wide.mp4", 2048, 360)).clip
    assert len(passes) == 1, "the side follows from the video's own, before any picture is made"
    assert clip.height < 300
    assert clip.frames.nbytes <= FRAME_BYTES
    assert clip.width / clip.height == pytest.approx(2048 / 360, rel=0.02)


def test_not_a_video_is_a_named_error(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("just words")
    with pytest.raises(NotAVideoError, match=r"notes\.mp4"):
        service.read(path)
    assert len(service.cache) == 0


def test_no_examples_at_all(model: VideoModel, tmp_path: Path) -> None:
    service = Service(model, clips=tmp_path / "nowhere")
    assert service.examples == {}
    service.warm_up(threading.Event())
    with pytest.raises(UnknownExampleError, match="there are none"):
        service.open_example("any")


def test_warm_up_survives_a_broken_example_and_says_so(
    model: VideoModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    Service(model, clips=tmp_path).warm_up(threading.Event())
    assert "The example broken cannot be shown" in caplog.text


def test_warm_up_analyses_every_example(warm: Service) -> None:
    assert all(warm.cached_example(name) for name in warm.examples)
    assert len(warm.cache) == len(warm.examples) > 4


def test_warm_up_stops_when_told(service: Service) -> None:
    stop = threading.Event()
    stop.set()
    service.warm_up(stop)
    assert len(service.cache) == 1


def test_many_threads_each_get_their_own_clip(service: Service, make_clip: Callable[..., Clip]) -> None:
    clips = {seed: make_clip(seed, name=f"{seed}.mp4") for seed in range(8)}
    got: dict[int, str] = {}

    def visit(seed: int) -> None:
        got[seed] = service.analysis(service.analyze(clips[seed])).clip.sha256

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in clips]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {seed: clip.sha256 for seed, clip in clips.items()}
