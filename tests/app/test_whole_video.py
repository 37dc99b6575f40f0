"""Another window of a video, and what is shown of all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app import charts
from app.questions import Questions
from app.service import EvictedError, Service
from app.whole_video import chosen_window, timeline_figure
from sifa_core import Clip, read_clip, video_timeline
from sifa_core.data.mp4 import write_mp4
from sifa_core.errors import ClipTooShortError, QueryError
from sifa_core.models import VideoModel

TIMES = np.arange(50) / 25


@pytest.fixture(scope="module")
def service(model: VideoModel) -> Service:
    return Service(model)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: a square that moves right, then, after a cut, one that stands."""
    pictures = np.full((50, 72, 128, 3), 90, np.uint8)
    for number, picture in enumerate(pictures):
        if number < 30:
            picture[20:50, 2 * number : 2 * number + 30] = 230
        else:
            picture[...] = 240
            picture[40:60, 40:60] = 20
    path = tmp_path_factory.mktemp("video") / "square.mp4"
    write_mp4(path, pictures, 25)
    return path


@pytest.fixture(scope="module")
def token(service: Service, path: Path) -> str:
    return service.analyze_video(path, service.read(path))


def test_a_window_is_the_clip_that_read_clip_gives(service: Service, token: str, path: Path) -> None:
    first = service.analysis(token).clip
    other = service.analysis(service.window(token, 3, 2)).clip
    alone = read_clip(path, 16, start=3, stride=2, max_short_side=first.height)
    np.testing.assert_array_equal(other.frames, alone.frames)
    assert other.indices.tolist() == list(range(3, 35, 2))
    assert other.sha256 == first.sha256
    assert service.entry(service.window(token, 0, 1)).video is service.entry(token).video


def test_what_is_no_window_is_refused(service: Service, token: str) -> None:
    with pytest.raises(ClipTooShortError, match="too few from frame 49 on"):
        service.window(token, 49, 1)


def test_a_clip_whose_file_has_gone_stays_as_it_is(service: Service, tmp_path: Path, path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    token = service.analyze_video(copy, service.read(copy))
    copy.unlink()
    for ask in (lambda: service.window(token, 0, 1), lambda: service.timeline(token)):
        with pytest.raises(EvictedError, match="send it again"):
            ask()
    assert service.analysis(token).clip.num_frames == 16


def test_a_clip_without_a_file_has_no_other_window(service: Service) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (16, 64, 96, 3), np.uint8)
    with pytest.raises(EvictedError, match="send it again"):
        service.window(service.analyze(Clip.from_array(frames)), 0, 1)


def test_the_timeline_is_that_of_the_package_and_computed_once(service: Service, token: str, path: Path) -> None:
    told: list[float] = []
    found = service.timeline(token, told.append)
    assert told[-1] == 1
    stride = service.analysis(token).clip.source.stride
    expected = video_timeline(service.model, path, stride=stride)
    assert [moment.start for moment in found.moments] == [moment.start for moment in expected.moments]
    for one, other in zip(found.moments, expected.moments, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert found.cuts == pytest.approx([1.2])
    assert service.timeline(token) is found


def test_the_chart_shows_the_window_and_the_classes(service: Service, token: str) -> None:
    analysis, found = service.analysis(token), service.timeline(token)
    figure = timeline_figure(service, analysis, found)
    movement, *classes = figure.data
    assert len(movement.x) == 50
    best = found.best(charts.TIMELINE_CLASSES)
    for line, number in zip(classes, best, strict=True):
        assert line.y == pytest.approx([float(moment.probabilities[number]) for moment in found.moments])
    window = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (window.x0, window.x1) == pytest.approx((analysis.clip.timestamps[0], analysis.clip.timestamps[-1]))
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == pytest.approx([1.2])


def test_a_link_names_the_window_unless_it_is_the_first(service: Service) -> None:
    token = service.open_example("earth_rotates")
    questions = Questions(service)
    (first,) = questions.open_example("earth_rotates")
    assert (first["token"], first["window"]) == (token, None)
    *_, value = questions.open_example("earth_rotates", 2, 1)
    assert value["window"] == {"start": 2, "stride": 1}
    assert value["example"] == "earth_rotates"
    *_, same = questions.open_window(token, second=float(value["moment"]["second"]), stride=1)
    assert (same["window"], same["moment"]) == (value["window"], value["moment"])
    *_, none = questions.open_example("earth_rotates", 10_000, 1)
    assert none["token"] == token, "there is no such window, so the one that was chosen is shown"


@pytest.mark.parametrize(
    ("second", "stride", "expected"), [(0, 1, (0, 1)), (0.41, 2.0, (10, 2)), (1.96, 3, (48, 3)), (1, 400, (25, 400))]
)
def test_the_nearest_frame_is_taken(second: float, stride: float, expected: tuple[int, int]) -> None:
    assert chosen_window(TIMES, second, stride) == expected


@pytest.mark.parametrize(
    ("second", "stride", "sentence"),
    [
        (None, 1, "needs a second"),
        (1, None, "needs a second"),
        (True, 1, "needs a second"),
        ("1", 1, "needs a second"),
        (-0.1, 1, "runs from 0 to 1.96 s"),
        (2.5, 1, "nothing at 2.5 s"),
        (float("nan"), 1, "nothing at nan s"),
        (1, 0, "one frame in 1 or more"),
    ],
)
def test_what_no_window_has_is_one_sentence(second: object, stride: object, sentence: str) -> None:
    with pytest.raises(QueryError, match=sentence):
        chosen_window(TIMES, second, stride)
