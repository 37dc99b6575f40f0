"""What an evaluation counts, and how it comes to its answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from sifa_core.data.datasets import Failures, Item, MotionDataset
from sifa_core.data.motion15 import LABELS, MotionConfig
from sifa_core.errors import NotFiniteError
from sifa_core.models import create_model
from sifa_core.training import evaluate, evaluation, loading, summary, write_report
from sifa_core.training.result import Evaluation, merged
from sifa_core.training.sharing import Share


class Scripted:
    """Six items of two classes whose first pixel tells what the network below answers; the last file is broken."""

    labels = ("zero", "one")
    answers = ((0, 0), (0, 0), (0, 1), (1, 1), (1, 0))
    views = 2

    @property
    def sample_bytes(self) -> int:
        return self.views * 4 * 8 * 8 * 3

    def __len__(self) -> int:
        return 6

    def __getitem__(self, key):
        index = key[0]
        if index == 5:
            return Item(None, failure="bad.mp4: broken")
        label, answer = self.answers[index]
        views = np.full((self.views, 4, 8, 8, 3), 255 if answer else 0, np.uint8)
        views[1:] = 128  # the other views are undecided
        return Item(views, label, speed=0.3 * index, name=f"{index}.mp4")


class Echo(nn.Module):
    """Answers class one for bright clips, with the certainty of their brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.info = create_model("sifa_net_tiny", width=4).info
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, video):
        level = video.mean(dim=(1, 2, 3, 4))
        return torch.stack([-level, level], dim=1)


@pytest.mark.parametrize("workers", [0, 1])
def test_evaluation_counts(tmp_path, workers):
    model = Echo().train()
    result = evaluate(model, Scripted(), batch=2, workers=workers, protocol="two views")
    assert model.training
    np.testing.assert_array_equal(result.confusion, [[2, 1], [1, 1]])
    assert result.accuracy == pytest.approx(0.6)
    assert result.per_class == pytest.approx({"zero": 2 / 3, "one": 0.5})
    assert result.count == 5
    # speeds 0, .3, .6, .9, 1.2 -> bins still, 0.25-0.5, 0.5-1 twice, 1-2
    assert result.by_speed["0.5 to 1"] == {"accuracy": 0.5, "clips": 2}
    assert result.by_speed["1 to 2"] == {"accuracy": 0.0, "clips": 1}
    assert dict(result.failures.counts) == {"bad.mp4: broken": 1}
    assert math.isnan(result.directions), "these classes have no opposites"
    assert 0 < result.loss < 10
    parts = [evaluate(model, Scripted(), batch=2, protocol="two views", part=Share(rank, 2)) for rank in (0, 1)]
    whole = merged(parts)
    np.testing.assert_array_equal(whole.confusion, result.confusion)
    assert whole.loss == pytest.approx(result.loss)
    assert whole.to_dict() | {"loss": 0.0} == result.to_dict() | {"loss": 0.0}
    assert sorted(whole.videos, key=str) == sorted(result.videos, key=str)
    text = summary(result)
    assert "two views" in text
    assert "60.0 %" in text
    assert "bad.mp4" in text
    data, answers, page = write_report(result, tmp_path / "report")
    stored = json.loads(data.read_text())
    assert stored["confusion"] == [[2, 1], [1, 1]]
    assert stored["top1"] == pytest.approx(0.6)
    rows = [row.split(",") for row in answers.read_text().splitlines()]
    assert rows[0] == ["video", "class", "predicted", "probability"]
    assert [row[:3] for row in rows[1:4]] == [
        ["0.mp4", "zero", "zero"],
        ["1.mp4", "zero", "zero"],
        ["2.mp4", "zero", "one"],
    ]
    html = page.read_text()
    assert "two views" in html
    assert 'src="http' not in html


def test_many_views_come_in_parts(monkeypatch):
    """At most `batch` clips are in the model, and one video is drawn where its clips are more; the figures stay."""

    class ManyViews(Scripted):
        views = 5

    forwards, drawn = [], []
    forward, put_together = Echo.forward, loading.collate
    monkeypatch.setattr(Echo, "forward", lambda self, video: forwards.append(len(video)) or forward(self, video))
    monkeypatch.setattr(loading, "collate", lambda items: drawn.append(len(items)) or put_together(items))
    found = {batch: evaluate(Echo(), ManyViews(), batch=batch) for batch in (3, 10, 100)}
    assert drawn == [1] * 6 + [2] * 3 + [6]
    assert forwards == [3, 2] * 5 + [10, 10, 5] + [25]
    for result in found.values():
        np.testing.assert_array_equal(result.confusion, [[2, 1], [1, 1]])
        assert result.loss == pytest.approx(found[100].loss)


def test_an_empty_class_has_no_accuracy():
    class OnlyZero(Scripted):
        answers = ((0, 0),) * 5

    result = evaluate(Echo(), OnlyZero(), batch=3)
    assert math.isnan(result.per_class["one"])
    assert result.to_dict()["per_class"]["one"] is None


def test_directions_count_the_class_and_its_opposite_only():
    confusion = np.zeros((15, 15), np.int64)
    left, right, up = (LABELS.index(f"object moves {way}") for way in ("left", "right", "up"))
    confusion[left, left], confusion[left, right], confusion[left, up] = 3, 1, 9
    confusion[right, right], confusion[0, 0], confusion[0, left] = 2, 50, 7
    result = Evaluation(LABELS, confusion, np.zeros((6, 2), np.int64), 0.0, "counted by hand", Failures())
    assert result.directions == pytest.approx(5 / 6)
    assert result.to_dict()["directions"] == result.directions
    assert "told from the opposite direction: 83.3 %" in summary(result)
    nothing = Evaluation(LABELS, np.zeros_like(confusion), result.speeds, 0.0, "", Failures())
    assert math.isnan(nothing.directions)
    assert nothing.to_dict()["directions"] is None


def test_an_untrained_network_is_near_chance_on_motion15():
    torch.manual_seed(0)
    data = MotionDataset("val", 60, MotionConfig(num_frames=4, height=32, width=32))
    result = evaluate(create_model("sifa_net_tiny", width=4), data, batch=30)
    assert result.count == 60
    assert result.labels == LABELS
    assert result.accuracy < 0.3
    assert sum(row["clips"] for row in result.by_speed.values()) == 60
    assert isinstance(result.failures, Failures)


def test_without_any_temporal_module_the_order_of_frames_is_lost():
    """The plain 2D network over single frames cannot tell a direction, whatever it learns; a stem over four can."""
    torch.manual_seed(0)
    clip = torch.randn(1, 3, 8, 32, 32)
    shuffled = clip[:, :, torch.randperm(8)]

    def change(**fields: object) -> float:
        network = create_model("sifa_net_tiny", width=4, **fields).eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 0.5)  # the last of each block starts at zero and would hide it
        with torch.inference_mode():
            before, after = network(clip), network(shuffled)
        return float((after - before).norm() / before.norm())

    assert change(temporal="none", temporal_stride=1) < 1e-5
    assert change(temporal="none", temporal_stride=4) > 0.02
    assert change(temporal="sifa", temporal_stride=1) > 3e-4


def test_top5_counts_the_five_most_probable():
    """A network that ranks seven classes 6, 5, ..., 0 for every clip; three clips of class 2, one of 1, one of 6."""

    class Ranking(Echo):
        def forward(self, video):
            return torch.arange(7.0).expand(len(video), 7)

    class Seven(Scripted):
        labels = tuple("abcdefg")
        answers = ((2, 0), (2, 0), (2, 1), (1, 1), (6, 0))

    result = evaluate(Ranking(), Seven(), batch=4)
    assert (result.accuracy, result.top5) == (0.2, 0.8)
    assert "top-1 20.0 %, top-5 80.0 % of 5 videos" in summary(result)
    assert result.to_dict()["top5"] == 0.8


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_answers_that_are_no_numbers_are_an_error_with_a_name(value):
    class Broken(Echo):
        def forward(self, video):
            answer = super().forward(video)
            answer[3:] = value  # the second view of the second video
            return answer

    with pytest.raises(NotFiniteError, match=r"^sifa_net_tiny gives values that are not finite for 1\.mp4\.$"):
        evaluate(Broken(), Scripted(), batch=4)
    with pytest.raises(NotFiniteError, match=r"try without bf16"):
        evaluate(Broken(), Scripted(), batch=4, precision="bf16")


def test_mixed_precision_reaches_the_forward():
    """Matrix products are in bfloat16 then, and the figures are nearly the same."""
    torch.manual_seed(0)
    model, seen = create_model("sifa_net_tiny", width=8, layers=(1, 1, 1, 1)), []
    nn.init.normal_(model.fc.weight)
    model.layer1[0].conv1.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    data = MotionDataset("val", 6, MotionConfig(4, 32, 32))
    full, half = (evaluate(model, data, batch=6, precision=precision) for precision in ("no", "bf16"))
    assert seen == [torch.float32, torch.bfloat16]
    assert half.loss == pytest.approx(full.loss, rel=0.05)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than this machine has cores
def test_what_waits_for_the_network_is_bounded(monkeypatch):
    """By memory, not by the number of workers; one batch at least is made."""
    data, sampler = MotionDataset("val", 6, MotionConfig(4, 32, 32)), loading.EpochSampler(6, 1)
    monkeypatch.setattr(loading, "WAITING_BYTES", 10 * data.sample_bytes)
    for workers, batch, expected in (
        (0, 1, (0, None)),
        (2, 1, (2, 4)),
        (8, 1, (8, 1)),
        (8, 4, (2, 1)),
        (8, 99, (1, 1)),
    ):
        loader = loading.make_loader(data, sampler, workers, batch * data.sample_bytes)
        assert (loader.num_workers, loader.prefetch_factor) == expected


def test_clips_of_one_forward_are_as_many_as_fit(monkeypatch):
    monkeypatch.setattr(evaluation, "FORWARD_BYTES", 3 * 4 * 4 * 8 * 8 * 3)
    sizes = []
    forward = Echo.forward
    monkeypatch.setattr(Echo, "forward", lambda self, video: sizes.append(len(video)) or forward(self, video))
    evaluate(Echo(), Scripted())
    assert sizes == [2] * 5, "three clips fit, and a video has two"
