"""motion15: the same clip wherever it is drawn, labels that are true, flow that explains the pictures."""

from __future__ import annotations

import csv
import multiprocessing
from collections import defaultdict

import cv2
import numpy as np
import pytest

from sifa_core.data.motion15 import LABELS, OPPOSITE, SPEED_BINS, MotionConfig, label_of, render, speed_bin
from sifa_core.data.motion15.geometry import Shake
from sifa_core.data.motion15.material import MATERIAL, material
from sifa_core.data.motion15.motions import make_plan
from sifa_core.errors import ConfigError

PLAIN = MotionConfig(difficulty=0.0)
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def of_class(label: str, count: int, split: str = "val", **config: object) -> list:
    """The first samples of a class, with their truth."""
    indices = (i for i in range(100_000) if LABELS[label_of(3, split, i)] == label)
    return [render(3, split, next(indices), MotionConfig(**config), truth=True) for _ in range(count)]


def checksum(index: int) -> bytes:
    return render(5, "train", index).frames.tobytes()


def test_same_clip_in_any_order_and_process():
    first = [checksum(index) for index in range(6)]
    assert [checksum(index) for index in reversed(range(6))] == first[::-1]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(checksum, range(6)) == first


def test_seed_split_and_index_all_matter():
    clips = [render(0, "train", 0), render(1, "train", 0), render(0, "val", 0), render(0, "train", 1)]
    assert len({clip.frames.tobytes() for clip in clips}) == 4


def test_every_run_of_fifteen_has_each_class_once():
    for block in range(20):
        found = sorted(label_of(0, "test", 15 * block + place) for place in range(15))
        assert found == list(range(15))


def test_order_of_classes_differs_between_blocks_and_seeds():
    orders = {tuple(label_of(seed, "test", 15 * block + i) for i in range(15)) for seed in (0, 1) for block in range(5)}
    assert len(orders) == 10


def test_splits_share_no_file_and_no_group():
    with (MATERIAL / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    groups = defaultdict(set)
    for row in rows:
        groups[row["group"]].add(row["split"])
        assert (MATERIAL / row["file"]).is_file(), row["file"]
        assert row["licence"]
        assert row["attribution"]
    assert len({row["file"] for row in rows}) == len(rows)
    assert all(len(splits) == 1 for splits in groups.values())
    for split in ("train", "val", "test"):
        files = material(split)
        assert min(len(files.pictures), len(files.photographs), len(files.panoramas), len(files.characters)) >= 1


def test_shape_and_configuration():
    sample = render(0, "val", 0, MotionConfig(num_frames=8, height=64, width=112), truth=True)
    assert sample.frames.shape == (8, 64, 112, 3)
    assert sample.frames.dtype == np.uint8
    assert sample.flow.shape == (7, 64, 112, 2)
    assert sample.moving.shape == (8, 64, 112)
    for bad in ({"num_frames": 1}, {"height": 16}, {"width": 4000}, {"difficulty": 2.0}, {"between": -0.1}):
        with pytest.raises(ConfigError):
            MotionConfig(**bad)
    with pytest.raises(ConfigError):
        render(0, "validation", 0)
    with pytest.raises(ConfigError):
        render(0, "val", -1)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_objects_move_as_labelled(direction):
    for sample in of_class(f"object moves {direction}", 5, difficulty=0.0):
        seen = sample.moving[:-1]
        motion = sample.flow[seen].sum(axis=0)
        assert motion @ np.array(DIRECTIONS[direction]) > 0.7 * np.hypot(*motion) > 0
        assert 0 < sample.moving.mean() < 0.95


@pytest.mark.parametrize(
    ("label", "content"),
    [
        ("camera pans left", "right"),
        ("camera pans right", "left"),
        ("camera tilts up", "down"),
        ("camera tilts down", "up"),
    ],
)
def test_a_turning_camera_moves_everything_the_other_way(label, content):
    for sample in of_class(label, 4, difficulty=0.0):
        along = sample.flow @ np.array(DIRECTIONS[content], np.float32)
        moved = np.abs(along).max(axis=(1, 2)) > 1e-6
        assert sample.moving.all()
        assert (along[moved] > 0).mean() > 0.99


@pytest.mark.parametrize(("label", "sign"), [("camera zooms in", 1), ("camera zooms out", -1)])
def test_a_zooming_camera_spreads_everything(label, sign):
    rows, columns = np.mgrid[0:96, 0:96] - 47.5
    for sample in of_class(label, 4, difficulty=0.0):
        flow = sample.flow - sample.flow.mean(axis=(1, 2), keepdims=True)
        assert sign * (flow[..., 0] * columns + flow[..., 1] * rows).mean() > 0


@pytest.mark.parametrize(
    ("label", "turns", "grows"),
    [
        ("object turns clockwise", 1, 0),
        ("object turns anticlockwise", -1, 0),
        ("object comes closer", 0, 1),
        ("object moves away", 0, -1),
    ],
)
def test_objects_turn_and_grow_as_labelled(label, turns, grows):
    rows, columns = np.mgrid[0:96, 0:96].astype(np.float64)
    for sample in of_class(label, 5, difficulty=0.0):
        curl = spread = 0.0
        for flow, seen in zip(sample.flow, sample.moving, strict=False):
            if seen.sum() < 12:
                continue
            x, y = columns[seen] - columns[seen].mean(), rows[seen] - rows[seen].mean()
            dx, dy = (flow[seen] - flow[seen].mean(axis=0)).T
            curl += float((x * dy - y * dx).sum())  # y points down: positive is clockwise
            spread += float((x * dx + y * dy).sum())
        if turns:
            assert turns * curl > abs(spread) * 0.5 > -1
        else:
            assert grows * spread > abs(curl) * 0.5


def test_still_is_still_apart_from_shake():
    for sample in of_class("still", 4, difficulty=0.0):
        assert sample.speed == 0.0
        assert sample.speed_bin == 0
        assert not sample.moving.any()
        assert np.abs(sample.flow).max() < 1e-9
    shaken = of_class("still", 12)
    shifts = [np.abs(sample.flow.mean(axis=(1, 2)).sum(axis=0)).max() for sample in shaken]
    assert max(shifts) < 6
    assert max(np.abs(sample.flow).max() for sample in shaken) > 0.3


def test_shake_leads_nowhere():
    rng = np.random.default_rng(0)
    shake = Shake(rng.normal(size=(3, 4)), rng.uniform(0.02, 0.2, (3, 4)), rng.uniform(0, 6, (3, 4)), 16)
    moves = shake(np.arange(16.0))
    slope = np.polyfit(np.arange(16), moves, 1)[0]
    assert np.abs(slope).max() < 1e-9
    assert np.abs(moves).max() > 0.1


def test_flow_warps_the_next_frame_onto_this_one():
    """Photometric check: fetching each pixel where the flow says it went gives its own grey level back."""
    rows, columns = np.mgrid[0:96, 0:96].astype(np.float32)
    better, errors = [], []
    for index in range(45):
        sample = render(11, "val", index, PLAIN, truth=True)
        if sample.label == 0:
            continue
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in sample.frames]
        step = int(np.argmax(np.abs(sample.flow).mean(axis=(1, 2, 3))))
        flow = sample.flow[step]
        target = columns + flow[..., 0], rows + flow[..., 1]
        inside = (target[0] > 1) & (target[0] < 94) & (target[1] > 1) & (target[1] < 94) & (np.abs(flow).sum(-1) > 0.5)
        if inside.sum() < 100:
            continue
        warped = cv2.remap(grey[step + 1], *target, cv2.INTER_LINEAR)
        with_flow = np.median(np.abs(warped - grey[step])[inside])
        without = np.median(np.abs(grey[step + 1] - grey[step])[inside])
        errors.append(with_flow)
        better.append(with_flow < without)
    assert len(errors) > 25
    assert np.mean(better) > 0.9
    assert np.median(errors) < 4


def test_cells_move_as_the_flow_says():
    """Following the flow frame by frame leads where the cell's motion says, to the rounding of its path's pixels."""
    errors, lengths, unknown = [], [], 0
    for index in range(24):
        sample = render(11, "val", index, MotionConfig(16, 96, 128, 0.0), truth=True, cell_motion=True)
        assert sample.cell_motion.shape == (4, 12, 16, 2)
        assert not sample.cell_motion[-1].any(), "the last feature frame looks at itself"
        for t in range(3):
            for row, column in np.ndindex(12, 16):
                place = np.array([8 * column + 3.5, 8 * row + 3.5])
                start = place.copy()
                for frame in range(4 * t + 2, 4 * t + 6):
                    x, y = np.rint(place).astype(int)
                    if not (0 <= x < 128 and 0 <= y < 96):
                        break
                    place = place + sample.flow[frame][y, x]
                else:
                    told = sample.cell_motion[t, row, column]
                    unknown += np.isnan(told).any()
                    if not np.isnan(told).any():
                        errors.append(np.abs(place - start - told).max())
                        lengths.append(np.hypot(*told))
    assert np.median(errors) < 0.05
    assert np.mean(errors) < 0.1 * np.mean(lengths)
    assert np.max(lengths) > 8
    assert unknown > 0, "what leaves the picture has no place in the next frame"


def test_speeds_cover_every_bin_and_pass_the_stem():
    samples = [render(2, "train", index, MotionConfig(height=48, width=48, difficulty=0.0)) for index in range(300)]
    counts = np.bincount([sample.speed_bin for sample in samples], minlength=len(SPEED_BINS))
    assert (counts[1:] >= 15).all()
    held = np.mean([sample.facts["hold"] >= 3 for sample in samples])
    assert 0.1 < held < 0.3


def test_speed_is_that_of_the_flow():
    for sample in of_class("object moves left", 6, difficulty=0.0):
        if sample.facts["hold"] != 1:
            continue
        seen = [
            flow[mask].mean(axis=0) for flow, mask in zip(sample.flow, sample.moving, strict=False) if mask.sum() > 20
        ]
        per_feature_frame = 4 * np.hypot(*np.mean(seen, axis=0)) / 16
        assert per_feature_frame == pytest.approx(sample.speed, rel=0.35, abs=0.05)


def test_speed_bins():
    assert [speed_bin(value) for value in (0.0, 0.1, 0.3, 0.7, 1.5, 9.0)] == [0, 1, 2, 3, 4, 5]


def test_opposites_are_mutual_and_of_one_kind():
    assert [OPPOSITE[OPPOSITE[i]] for i in range(15)] == list(range(15))
    assert [LABELS[i] for i in range(15) if OPPOSITE[i] == i] == ["still"]
    assert LABELS[OPPOSITE[LABELS.index("camera pans left")]] == "camera pans right"
    assert LABELS[OPPOSITE[LABELS.index("object comes closer")]] == "object moves away"
    for label, other in zip(LABELS, (LABELS[i] for i in OPPOSITE), strict=True):
        assert label.split()[0] == other.split()[0], "an object for an object, a camera for a camera"


def test_one_frame_tells_nothing_about_direction():
    """Mean pictures of opposite classes do not differ more than those of two halves of one class."""

    def mean_picture(label: str, part: int) -> np.ndarray:
        indices = [i for i in range(1200) if LABELS[label_of(4, "train", i)] == label][part::2]
        return np.mean([render(4, "train", i).frames[8].mean(axis=-1) for i in indices], axis=0)

    left = [mean_picture("camera pans left", part) for part in (0, 1)]
    right = mean_picture("camera pans right", 0)
    assert np.abs(left[0] - right).mean() < 2.0 * np.abs(left[0] - left[1]).mean() + 2


def test_the_camera_drifts_in_some_clips_of_moving_objects_and_less_than_they_move():
    drifts, ratios = [], []
    for number in range(200):
        rng = np.random.default_rng(number)
        plan = make_plan(rng, "object moves left", 16, 96, 96, 1.0)
        drift = float(np.hypot(*plan.camera.velocity))
        drifts.append(drift > 0)
        ratios.append(drift / np.hypot(*plan.thing.velocity))
        assert make_plan(np.random.default_rng(number), "object moves left", 16, 96, 96, 0.0).camera.velocity == (0, 0)
    assert 0.25 < np.mean(drifts) < 0.45
    assert 0.3 < max(ratios) <= 0.4
    still = make_plan(np.random.default_rng(0), "still", 16, 96, 96, 1.0)
    assert still.camera.velocity == (0, 0)
