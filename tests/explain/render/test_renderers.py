"""Figure 5 and the files an analysis is saved to."""

import json
import shutil
import stat

import numpy as np
import pytest
from PIL import Image

from sifa_core.data import Clip, read_clip
from sifa_core.errors import ExportError, QueryError
from sifa_core.explain.explanation import analyze
from sifa_core.explain.render.figure5 import QUERY_COLOUR, compose
from sifa_core.paths import EXAMPLE_CLIPS

HOSTILE = "${7*7} $x_1^{2}$ <img src=x onerror=alert(1)> \"' 🎬 שלום.mp4"


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def test_figure5_shows_the_query_where_it_is(analysis):
    """The green disc moves with the query, in the panel of frame t and in that of frame t+1."""

    def discs(query):
        picture = analysis.figure5(query, "res4.1").astype(int)
        green = np.abs(picture - rgb(QUERY_COLOUR)).sum(-1) < 12
        left = green[:, : picture.shape[1] // 4]
        ys, xs = np.nonzero(left)
        assert green[:, picture.shape[1] // 4 : picture.shape[1] // 2].sum() > 20
        return xs.mean(), ys.mean(), picture.shape[1] / 4

    x0, y0, panel = discs((1, 20, 20))
    x1, y1, _ = discs((1, 100, 70))
    scale = (x1 - x0) / 80
    assert scale == pytest.approx((y1 - y0) / 50, rel=0.05)
    assert 0.85 * panel / 130 < scale < panel / 130


def test_figure5_draws_the_points_of_the_api(analysis):
    selection = analysis.select((1, 60, 40), "res4.1", 2)
    points = analysis.sampling_points(selection.query, "res4.1", 2)
    attention = compose(analysis, selection).axes[1]
    (drawn,) = attention.collections
    order = np.argsort(points.weights, kind="stable")
    np.testing.assert_allclose(drawn.get_offsets(), points.points[order])
    np.testing.assert_allclose(drawn.get_array(), points.weights[order])
    links = [line.get_xydata()[1] for line in attention.lines[:3]]
    np.testing.assert_allclose(links, points.points[points.strongest(3)])


def test_figure5_changes_with_layer_query_and_levels(analysis):
    pictures = [
        analysis.figure5((1, 60, 40), "res4.1"),
        analysis.figure5((1, 90, 40), "res4.1"),
        analysis.figure5((1, 60, 40), "res5.1"),
        analysis.figure5((1, 60, 40), "res4.1", levels=1),
    ]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_figure5_of_every_layer_frame_and_of_constant_maps(analysis, model, clip):
    for layer in analysis.layers:
        for t in range(analysis.num_frames):
            assert analysis.figure5((t, 0, 0), layer).ndim == 3
    black = analyze(model, Clip.from_array(np.zeros((4, 40, 300, 3), np.uint8)))
    assert black.figure5().dtype == np.uint8


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "json", "html"])
def test_saved_files_carry_the_hashes(analysis, tmp_path, ending):
    path = analysis.save(tmp_path / f"out.{ending}", query=(1, 60, 40), layer="res4.1")
    content = path.read_bytes()
    if ending == "png":
        content = Image.open(path).info["Description"].encode()
    assert analysis.clip.sha256.encode() in content
    assert analysis.info.sha256.encode() in content
    assert b"untrained" in content
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_json_holds_the_numbers_of_the_api(analysis, tmp_path):
    saved = json.loads(analysis.save(tmp_path / "out.json", (1, 60, 40), "res4.1").read_text())
    points = analysis.sampling_points((1, 60, 40), "res4.1", levels=2)
    assert saved["query"] == {"t": 1, "x": 60.0, "y": 40.0, "layer": "res4.1", "levels": 2}
    np.testing.assert_array_equal(saved["sampling_points"]["selected"]["points"], points.points)
    np.testing.assert_array_equal(saved["sampling_points"]["selected"]["weights"], points.weights)
    np.testing.assert_array_equal(
        saved["sampling_points"]["res5.0"]["points"], analysis.sampling_points((1, 60, 40), "res5.0").points
    )
    assert saved["predictions"] is None  # the model is untrained
    assert set(saved["offset_statistics"]) == set(saved["motion_saliency"]) == set(analysis.layers)
    assert np.shape(saved["grad_cam"]["cells"]) == analysis.grad_cam_cells("res4.1").shape
    assert saved["clip"]["frames"] == list(range(16))


@pytest.mark.parametrize("name", ["out.doc", "out", "out.html.gz"])
def test_other_endings_are_refused(analysis, tmp_path, name):
    with pytest.raises(ExportError, match=r"the ending must be one of \.png"):
        analysis.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(analysis, tmp_path):
    with pytest.raises(ExportError, match=r"^out.png cannot be written: No such file or directory\.$"):
        analysis.save(tmp_path / "gone" / "out.png")


def test_the_clip_is_never_replaced(model, tmp_path):
    path = tmp_path / "walk.mp4"
    shutil.copy(EXAMPLE_CLIPS / "cockatoo_moves_right.mp4", path)
    before = path.read_bytes()
    own = analyze(model, read_clip(path, 16, start=0, stride=1, max_short_side=64))
    with pytest.raises(ExportError, match=r"^walk.mp4 is the clip itself; choose another name\.$"):
        own.save(path)
    assert path.read_bytes() == before
    other = tmp_path / "other.mp4"
    other.write_bytes(b"a former film")
    assert own.save(other).read_bytes() != b"a former film"


def test_a_failing_save_leaves_the_former_file(analysis, tmp_path):
    path = analysis.save(tmp_path / "out.json")
    before = path.read_bytes()
    with pytest.raises(QueryError):
        analysis.save(path, query=(9, 0, 0))
    assert path.read_bytes() == before


def test_hostile_names_are_only_text(model, clip, tmp_path, recwarn):
    hostile = analyze(model, Clip.from_array(clip.frames, name=HOSTILE))
    hostile.save(tmp_path / "out.png")
    assert json.loads(hostile.save(tmp_path / "out.json").read_text())["clip"]["name"] == HOSTILE
    svg = hostile.save(tmp_path / "out.svg").read_text()
    assert "<img" not in svg
    assert "&lt;img" in svg
    html = hostile.save(tmp_path / "out.html").read_text()
    assert "<img src=x" not in html
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
