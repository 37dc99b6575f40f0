"""Data sets in the formats that they are published in, with broken files among them."""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from sifa_core.data import container, decode
from sifa_core.data.datasets import DatasetError, Failures, MotionDataset, View, collate, open_dataset
from sifa_core.data.datasets.formats import read_list
from sifa_core.data.datasets.names import read_names
from sifa_core.data.limits import DATASET_LIMITS, Limits
from sifa_core.data.motion15 import MotionConfig, render
from sifa_core.data.mp4 import write_mp4
from sifa_core.errors import ConfigError
from sifa_core.training.loading import EndlessSampler, EpochSampler, make_loader

TRAIN = View(4, 2, 32, (36, 48), seed=1)
TEST = View(4, 2, 32, training=False, clips=2, crops=3)


def video(path, brightness: int, frames: int = 12) -> None:
    """A clip whose mean brightness tells which one it is and whose columns tell left from right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(-20, 20, 64)[None, None, :, None]
    write_mp4(path, np.clip(brightness + ramp + np.zeros((frames, 48, 64, 3)), 0, 255).astype(np.uint8), 10)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    for index, name in enumerate(["a", "b", "c"]):
        video(root / f"{name}.mp4", 60 + 60 * index)
    (root / "broken.mp4").write_bytes(b"no video at all")
    return root


@pytest.mark.parametrize("separator", [" ", ",", "\t"])
def test_lists_with_numbers(videos, tmp_path, separator):
    listing = tmp_path / "train.txt"
    listing.write_text("".join(f"{name}.mp4{separator}{i}\n" for i, name in enumerate("abc")))
    data = open_dataset("list", str(listing), root=str(videos), view=TRAIN)
    assert data.labels == ("class 0", "class 1", "class 2")
    means = [data[(i, 0)].clips.mean() for i in range(3)]
    assert [data[(i, 0)].label for i in range(3)] == [0, 1, 2]
    np.testing.assert_allclose(means, [60, 120, 180], atol=12)


def test_lists_with_names_and_header(videos, tmp_path):
    listing, labels = tmp_path / "train.csv", tmp_path / "labels.txt"
    listing.write_text("path,label\na.mp4,running\nb.mp4,jumping\n")
    labels.write_text("jumping\nsitting\nrunning\n")
    data = open_dataset("list", str(listing), root=str(videos), labels=str(labels), view=TRAIN)
    assert [entry.label for entry in data.entries] == [2, 0]
    assert data.labels == ("jumping", "sitting", "running")
    assert read_list(listing, videos).labels == ("jumping", "running")


def test_kinetics_csv_flat_and_in_folders(tmp_path):
    video(tmp_path / "xyz_000010_000020.mp4", 60)
    video(tmp_path / "abseiling_fast" / "uvw_000003_000013.mp4", 180)
    listing = tmp_path / "kinetics_val.csv"
    listing.write_text(
        "label,youtube_id,time_start,time_end,split\nzumba,xyz,10,20,val\nabseiling fast,uvw,3.0,13.0,val\n"
    )
    data = open_dataset("list", str(listing), view=TEST)
    assert data.labels == ("abseiling fast", "zumba")
    assert [entry.label for entry in data.entries] == [1, 0]
    assert data[(1, 0)].clips.mean() == pytest.approx(180, abs=8)


def test_folder_per_class(tmp_path):
    for name, brightness in (("walk", 60), ("run", 180)):
        video(tmp_path / name / "deep" / "clip.mp4", brightness)
        (tmp_path / name / "notes.txt").write_text("not a video")
    data = open_dataset("folders", str(tmp_path), view=TEST)
    assert data.labels == ("run", "walk")
    assert len(data) == 2
    assert data[(0, 0)].clips.mean() == pytest.approx(180, abs=8)


def test_something_v1_frames(tmp_path):
    for identifier, brightness in (("7", 40), ("8", 200)):
        (tmp_path / identifier).mkdir()
        for number in range(1, 10):
            cv2.imwrite(
                str(tmp_path / identifier / f"{number:05d}.jpg"), np.full((40, 50, 3), brightness + number, np.uint8)
            )
    (tmp_path / "9").mkdir()
    listing, labels = tmp_path / "train.csv", tmp_path / "labels.csv"
    listing.write_text("8;Closing [something]\n7;Opening [something]\n9;Closing [something]\n")
    labels.write_text("Opening [something]\nClosing [something]\n")
    view = View(3, crop=32, training=False)
    data = open_dataset("something_v1", str(listing), root=str(tmp_path), labels=str(labels), view=view)
    item = data[(0, 0)]
    assert item.label == 1
    # frames 1..9 in three equal parts: the middle ones are numbers 2, 5 and 8
    np.testing.assert_allclose(item.clips.mean(axis=(0, 2, 3, 4)), [202, 205, 208], atol=1)
    empty = data[(2, 0)]
    assert empty.clips is None
    assert "9" in empty.failure


def test_pictures_that_cannot_be_read_are_named(tmp_path):
    picture = cv2.imencode(".png", np.full((40, 50, 3), 90, np.uint8))[1].tobytes()
    header = b"IHDR" + struct.pack(">II", 200_000, 200_000) + picture[24:29]
    huge = picture[:12] + header + struct.pack(">I", zlib.crc32(header)) + picture[33:]
    for identifier in ("gone", "huge"):
        (tmp_path / identifier).mkdir()
        (tmp_path / identifier / "00001.png").write_bytes(picture)
    (tmp_path / "gone" / "00002.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "huge" / "00002.png").write_bytes(huge)
    listing = tmp_path / "train.csv"
    listing.write_text("gone;a\nhuge;a\n")
    data = open_dataset("something_v1", str(listing), root=str(tmp_path), view=View(2, crop=32, training=False))
    batch = collate([data[0, 0], data[1, 1]])
    assert len(batch.labels) == 0
    for failure, identifier in zip(batch.failures, ("gone", "huge"), strict=True):
        assert f"The picture 00002.png in {identifier} is broken" in failure


def test_something_v2_templates(tmp_path):
    video(tmp_path / "11.mp4", 90)
    (tmp_path / "11.mp4").rename(tmp_path / "11.webm")  # the container is recognised by its content
    (tmp_path / "train.json").write_text(
        json.dumps([{"id": "11", "label": "putting a cup on a box", "template": "Putting [something] on [something]"}])
    )
    (tmp_path / "labels.json").write_text(json.dumps({"Holding something": "1", "Putting something on something": "0"}))
    data = open_dataset(
        "something_v2",
        str(tmp_path / "train.json"),
        root=str(tmp_path),
        labels=str(tmp_path / "labels.json"),
        view=TEST,
    )
    assert data.labels == ("Putting something on something", "Holding something")
    item = data[(0, 0)]
    assert item.label == 0
    assert item.clips.shape == (6, 4, 32, 32, 3)


def test_views(videos, tmp_path):
    listing = tmp_path / "one.txt"
    listing.write_text("b.mp4 0\n")
    test = open_dataset("list", str(listing), root=str(videos), view=TEST)[(0, 0)].clips
    assert test.shape == (2 * 3, 4, 32, 32, 3)
    crops = test.reshape(3, 2, -1).astype(float).mean(axis=(1, 2))
    assert crops[0] < crops[1] < crops[2]  # left, middle, right of the ramp
    train = open_dataset("list", str(listing), root=str(videos), view=TRAIN)
    assert train[(0, 0)].clips.shape == (1, 4, 32, 32, 3)
    np.testing.assert_array_equal(train[(0, 5)].clips, train[(0, 5)].clips)
    rises = {bool(np.diff(train[(0, p)].clips[0].mean(axis=(0, 1, 3)))[0] > 0) for p in range(12)}
    assert rises == {True, False}
    straight = open_dataset("list", str(listing), root=str(videos), view=View(4, 2, 32, (36, 48), flip=False))
    gradients = [np.polyfit(np.arange(32), straight[(0, p)].clips[0].mean(axis=(0, 1, 3)), 1)[0] for p in range(12)]
    assert min(gradients) > 0


def test_short_sides_follow_the_crop():
    assert View(crop=224).short_side_range == (256, 340)
    assert View(crop=96).short_side_range == (110, 146)
    assert View(crop=96, short_sides=(96, 200)).short_side_range == (96, 200)


def test_a_training_crop_shows_as_much_as_in_the_papers_ratio(tmp_path):
    """Of a ramp from 0 to 200 along the width, a crop shows a fraction that tells the scale it is seen at."""
    ramp = np.broadcast_to(np.linspace(0, 200, 64)[None, None, :, None], (8, 48, 64, 3))
    write_mp4(tmp_path / "a.mp4", ramp.astype(np.uint8), 10)
    (tmp_path / "one.txt").write_text("a.mp4 0\n")
    data = open_dataset("list", str(tmp_path / "one.txt"), view=View(4, 2, 32, flip=False))
    rises = [float(np.ptp(data[(0, p)].clips.mean(axis=(0, 1, 2, 4)))) for p in range(16)]
    whole = 200 * 48 / 64
    assert all(0.93 * whole * 224 / 340 * 31 / 32 < rise < 1.05 * whole * 224 / 256 for rise in rises), rises


def test_videos_of_a_data_set_may_be_longer_and_slower_than_those_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "Limits", lambda: pytest.fail("the limits of the page are for the page"))
    now = itertools.count(step=1000)
    monkeypatch.setattr(container.time, "monotonic", lambda: float(next(now)))
    frames = np.zeros((70, 32, 32, 3), np.uint8)
    write_mp4(tmp_path / "long.mp4", frames, 1)  # 70 s, beyond the page's 60
    (tmp_path / "one.txt").write_text("long.mp4 0\n")
    data = open_dataset("list", str(tmp_path / "one.txt"), view=TRAIN)
    assert data[(0, 0)].failure == ""
    assert DATASET_LIMITS.max_pixels == Limits().max_pixels


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_left_out_and_named(videos, tmp_path, workers):
    listing = tmp_path / "train.txt"
    listing.write_text("a.mp4 0\nbroken.mp4 1\nmissing.mp4 1\nc.mp4 1\n")
    data = open_dataset("list", str(listing), root=str(videos), view=TRAIN)
    failures = Failures()
    seen = 0
    for batch in make_loader(data, EpochSampler(len(data), 4), workers, 4 * data.sample_bytes):
        failures.add(batch.failures)
        seen += len(batch.labels)
        assert batch.labels.tolist() == [0, 1]
        assert batch.clips.shape == (2, 1, 4, 32, 32, 3)
    assert seen == 2
    report = failures.report()
    assert "2 broken file(s)" in report
    assert "broken.mp4" in report
    assert "missing.mp4" in report
    again = Failures()
    again.load_state_dict(failures.state_dict())
    again.add(["x: y"] * 3)
    assert again.report().splitlines()[1].strip().startswith("x: y (3x)")


def test_a_batch_of_broken_files_is_empty(videos, tmp_path):
    listing = tmp_path / "train.txt"
    listing.write_text("a.mp4 0\nbroken.mp4 0\n")
    data = open_dataset("list", str(listing), root=str(videos), view=TRAIN)
    batch = collate([data[(1, 0)]])
    assert len(batch.labels) == 0
    assert len(batch.failures) == 1


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("list", "", "lists no video"),
        ("list", "oneword\n", "Line 1"),
        ("list", "a.mp4 0\nb.mp4 7\n", "class '7'"),
        ("list", "gone.mp4 0\n", "is there"),
        ("something_v1", "17\n", "Line 1"),
        ("something_v2", "{", "not valid JSON"),
        ("something_v2", "{}", "not a list"),
        ("something_v2", '[{"id": "1"}]', "without id or template"),
        ("folders", "", "no folder"),
    ],
)
def test_senseless_annotations_are_named_errors(videos, tmp_path, kind, content, message):
    listing, labels = tmp_path / "annotation", tmp_path / "labels.txt"
    listing.write_text(content)
    labels.write_text("zero\none\n")
    source = str(tmp_path / "nowhere") if kind == "folders" else str(listing)
    with pytest.raises(DatasetError, match=message):
        open_dataset(kind, source, root=str(videos), labels=str(labels))


def test_other_errors(tmp_path):
    with pytest.raises(ConfigError, match="format"):
        open_dataset("zip", "x")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset("list", str(tmp_path / "nothing.txt"))
    with pytest.raises(ConfigError):
        View(crops=2)
    (tmp_path / "twice.txt").write_text("a\na\n")
    with pytest.raises(DatasetError, match="twice"):
        read_names(tmp_path / "twice.txt")
    for number, content in enumerate(['{"a": 0, "b": 2}', '{"a": "x"}', '{"a": null}', '{"a": 0.5}', '{"a": [0]}']):
        (tmp_path / f"{number}.json").write_text(content)
        with pytest.raises(DatasetError, match="does not number its classes"):
            read_names(tmp_path / f"{number}.json")
    for number, content in enumerate(["3", "null", '"running"']):
        (tmp_path / f"{number}.json").write_text(content)
        with pytest.raises(DatasetError, match="neither a list of names nor names with numbers"):
            read_names(tmp_path / f"{number}.json")


def test_stream_is_the_same_however_it_is_shared():
    whole = [key for batch in EndlessSampler(10, 6, seed=3, batches=5) for key in batch]
    parts = [list(EndlessSampler(10, 3, seed=3, batches=5, rank=rank, world=2)) for rank in (0, 1)]
    assert [key for pair in zip(*parts, strict=True) for batch in pair for key in batch] == whole
    assert [position for _, position in whole] == list(range(30))
    epochs = [sorted(index for index, _ in whole[first : first + 10]) for first in (0, 10, 20)]
    assert epochs == [list(range(10))] * 3
    assert [index for index, _ in whole[:10]] != [index for index, _ in whole[10:20]]
    later = [key for batch in EndlessSampler(10, 6, seed=3, start=2, batches=3) for key in batch]
    assert later == whole[12:]


def test_epoch_sampler_takes_everything_once():
    for world in (1, 2, 3):
        keys = [key for rank in range(world) for batch in EpochSampler(10, 4, rank, world) for key in batch]
        assert sorted(keys) == [(i, i) for i in range(10)]


def test_motion_data_set_shapes_and_freshness():
    config = MotionConfig(num_frames=4, height=32, width=32)
    data = MotionDataset("train", 10, config, seed=1, shapes=((32, 32), (32, 48)), group=4, fresh=True)
    shapes = [data[(0, position)].clips.shape for position in range(32)]
    groups = [set(shapes[first : first + 4]) for first in range(0, 32, 4)]
    assert all(len(group) == 1 for group in groups)
    assert {shape for group in groups for shape in group} == {(1, 4, 32, 32, 3), (1, 4, 32, 48, 3)}
    assert data[(3, 7)].label == render(1, "train", 7).label
    fixed = MotionDataset("val", 10, config, seed=1)
    np.testing.assert_array_equal(fixed[(3, 7)].clips[0], render(1, "val", 3, config).frames)
    eased = MotionDataset("train", 10, config, seed=1, fresh=True, ramp=100)
    easy = render(1, "train", 0, MotionConfig(4, 32, 32, 1 / 3))
    np.testing.assert_array_equal(eased[(0, 0)].clips[0], easy.frames)
    later = MotionDataset("train", 10, config, seed=1, fresh=True, skip=100, ramp=2)
    np.testing.assert_array_equal(later[(0, 5)].clips[0], render(1, "train", 105, config).frames)
    np.testing.assert_array_equal(
        later[(0, 0)].clips[0], render(1, "train", 100, MotionConfig(4, 32, 32, 1 / 3)).frames
    )
    batch = collate([fixed[(i, i)] for i in range(3)])
    assert batch.clips.dtype == torch.uint8
    assert batch.speeds.dtype == torch.float32


def test_controls_take_order_or_motion_away():
    config = MotionConfig(num_frames=6, height=32, width=32)
    true, shuffled, frozen = (
        MotionDataset("val", 10, config, control=control)[(1, 1)].clips[0] for control in ("none", "shuffled", "frozen")
    )
    assert not np.array_equal(true, shuffled)
    assert sorted(frame.tobytes() for frame in true) == sorted(frame.tobytes() for frame in shuffled)
    assert {frame.tobytes() for frame in frozen} == {true[3].tobytes()}
    with pytest.raises(ConfigError, match="control"):
        MotionDataset("val", 10, config, control="backwards")


def test_motion_between_feature_frames_only():
    clean = MotionConfig(num_frames=16, height=64, width=64, difficulty=0.0)
    between = replace(clean, between=1.0)
    moved = 0
    for index in range(1, 16):
        sample = render(0, "val", index, between, truth=True)
        flow = np.abs(sample.flow).max(axis=(1, 2, 3))
        assert (flow[np.arange(15) % 4 != 3] < 1e-6).all(), "nothing moves within the four frames of a feature frame"
        moved += flow[3::4].max() > 0.5
        assert sample.facts["hold"] == 4
    assert moved == 14, "one class of fifteen is still"
    config = replace(clean, num_frames=8, height=32, width=32)
    clips = MotionDataset("val", 10, config, control="between")
    np.testing.assert_array_equal(clips[(4, 4)].clips[0], render(0, "val", 4, replace(config, between=1.0)).frames)
    first = MotionDataset("train", 9, config, fresh=True, between=2)
    for position, fraction in ((0, 1.0), (1, 1.0), (2, 0.0)):
        drawn = render(0, "train", position, replace(config, between=fraction)).frames
        np.testing.assert_array_equal(first[(0, position)].clips[0], drawn)
    fraction = np.mean([render(0, "train", i, replace(config, between=0.5)).facts["hold"] == 4 for i in range(200)])
    assert 0.45 < fraction < 0.7, "half of them, and 15 % of the others by chance"
