"""The film of a query: where it goes, what is drawn, and files that players and decoders take."""

from __future__ import annotations

import io
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image

from sifa_core.data import Clip
from sifa_core.errors import ExportError
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.render.film import MOVING, SHOWN, STILL, film, gif
from sifa_core.explain.studies.trail import trail

EACH = STILL + MOVING + SHOWN
HOSTILE = "${7*7} <img src=x onerror=alert(1)> 🎬 שלום\n.mp4"


def test_the_query_is_carried_by_the_weighted_displacement(analysis: Explanation) -> None:
    steps = trail(analysis, analysis.select((1, 60, 40), "res3.0", 1))
    assert [step.points.query[0] for step in steps] == [1, 2, 3]
    assert steps[0].points.query[1:] == (60, 40)
    for step, following in pairwise(steps):
        weights = np.abs(step.points.weights)
        expected = (weights[:, None] * (step.points.points - step.points.query[1:])).sum(0) / weights.sum()
        np.testing.assert_allclose(step.displacement, expected)
        there = np.clip(np.array(step.points.query[1:]) + expected, 0, (129, 89))
        np.testing.assert_allclose(following.points.query[1:], there)
        exact = analysis.sampling_points(following.points.query, "res3.0", 1)
        np.testing.assert_array_equal(following.points.points, exact.points)


def test_points_start_on_the_grid_and_end_where_the_offsets_put_them(analysis: Explanation) -> None:
    selection = analysis.select((2, 60, 40), "res3.0", 1)
    pictures = list(film(analysis, selection))
    assert len(pictures) == 2 * EACH
    first, moved, last = pictures[0], pictures[STILL + MOVING // 2], pictures[EACH - 1]
    assert first.shape[0] % 2 == first.shape[1] % 2 == 0, "H.264 with half the colours needs even sides"
    left = first.shape[1] // 2 - 8
    np.testing.assert_array_equal(first[:, :left], last[:, :left], err_msg="frame t stands still")
    assert not np.array_equal(first, moved)
    assert not np.array_equal(moved, last)
    np.testing.assert_array_equal(pictures[STILL + MOVING - 1], last)


def test_the_gif_runs_for_ever_and_as_long_as_the_film(analysis: Explanation) -> None:
    content = gif(analysis, analysis.select((2, 60, 40), "res4.1", 2))
    assert len(content) < 2_000_000
    with Image.open(io.BytesIO(content)) as image:
        assert analysis.clip.sha256.encode() in image.info["comment"]
        assert image.info["loop"] == 0
        durations = []
        for number in range(image.n_frames):
            image.seek(number)
            durations.append(image.info["duration"])
        # Pictures that are alike become one that is shown for longer.
        assert sum(durations) == pytest.approx(2 * EACH * 1000 / 12, rel=0.05)


def test_files_are_whole_and_carry_the_hashes(analysis: Explanation, tmp_path) -> None:
    path = analysis.save(tmp_path / "film.mp4", (2, 60, 40), "res4.1", 2)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        comment = container.metadata["comment"]
    assert analysis.info.sha256 in comment
    assert analysis.clip.sha256 in comment
    drawn = list(film(analysis, analysis.select((2, 60, 40), "res4.1", 2)))
    assert len(decoded) == len(drawn)
    assert np.abs(decoded[-1].astype(int) - drawn[-1]).mean() < 12
    gif = analysis.save(tmp_path / "film.gif", (2, 60, 40), "res4.1", 2).read_bytes()
    assert analysis.clip.sha256.encode() in gif
    with pytest.raises(ExportError, match=r"\.gif, \.mp4"):
        analysis.save(tmp_path / "film.avi")


def test_any_name_and_any_shape(analysis: Explanation) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (16, 131, 33, 3), dtype=np.uint8)
    odd = analyze(analysis.model, Clip.from_array(frames, name=HOSTILE))
    pictures = list(film(odd, odd.select((3, 5, 5), "res3.0", 1)))
    assert len(pictures) == EACH
    assert pictures[0].shape[0] % 2 == pictures[0].shape[1] % 2 == 0
