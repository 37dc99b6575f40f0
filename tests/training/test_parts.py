"""Learning rates, parameter groups, evaluation arithmetic and reports."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from sifa_core.data.datasets import Failures, Item, MotionDataset
from sifa_core.data.datasets.base import collate
from sifa_core.data.motion15 import LABELS, MotionConfig
from sifa_core.data.transforms import normalize
from sifa_core.errors import CheckpointError, ConfigError, NotFiniteError
from sifa_core.models import create_model, save_checkpoint
from sifa_core.training import evaluate, evaluation, loading, summary, write_report
from sifa_core.training.build import build_model, freeze_statistics, keep_statistics
from sifa_core.training.config import OptimizerConfig, TrainConfig, from_dict
from sifa_core.training.offset_loss import OffsetLoss, distance_from_motion
from sifa_core.training.optimizer import build_optimizer, cosine, parameter_groups, set_learning_rate
from sifa_core.training.result import Evaluation, merged
from sifa_core.training.sharing import Share


def test_cosine_with_warmup():
    values = [cosine(step, 100, 10) for step in range(101)]
    assert values[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert values[10] == 1.0
    assert values[55] == pytest.approx(0.5)
    assert values[100] == pytest.approx(0.0)
    assert values[10:] == sorted(values[10:], reverse=True)


def test_groups_hold_every_parameter_once_and_treat_offsets_apart():
    model = create_model("sifa_net_tiny", width=8, gate="channel")
    groups = parameter_groups(model, OptimizerConfig(lr=0.5, weight_decay=0.1, offset_lr_factor=0.1))
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    offsets = {id(p) for name, p in model.named_parameters() if ".offset." in name}
    assert offsets
    for group in groups:
        ids = {id(p) for p in group["params"]}
        assert ids <= offsets if group["is_offset"] else not ids & offsets
        assert group["lr"] == pytest.approx(0.05 if group["is_offset"] else 0.5)
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}


def test_position_biases_do_not_decay():
    model = create_model("sifa_transformer_tiny", layers=(2, 2, 2, 2))
    groups = parameter_groups(model, OptimizerConfig(weight_decay=0.1))
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    found = {name: decay[id(p)] for name, p in model.named_parameters() if p.ndim > 1}
    assert {value for name, value in found.items() if "bias_table" in name} == {0.0}
    assert {value for name, value in found.items() if "bias_table" not in name} == {0.1}


def test_offsets_rest_until_told():
    config = OptimizerConfig(name="adamw", lr=0.5, freeze_offsets_steps=3, warmup_steps=0, weight_decay=0.1)
    optimizer = build_optimizer(create_model("sifa_net_tiny", width=4), config)
    rates = []
    for step in range(5):
        set_learning_rate(optimizer, step, 1000, config)
        rates.append({group["is_offset"]: group["lr"] for group in optimizer.param_groups})
    assert [rate[True] > 0 for rate in rates] == [False, False, False, True, True]
    assert all(rate[False] > 0.49 for rate in rates)


def test_frozen_statistics_stay():
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)).train()
    freeze_statistics(model)
    before = model[1].running_mean.clone()
    model(torch.randn(2, 3, 2, 4, 4) + 5)
    assert torch.equal(model[1].running_mean, before)


def test_statistics_are_kept_for_a_while():
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4, momentum=0.3)).train()
    before, video = model[1].running_mean.clone(), torch.randn(2, 3, 2, 4, 4) + 5
    with keep_statistics(model):
        model(video)
        assert torch.equal(model[1].running_mean, before)
    model(video)
    assert not torch.equal(model[1].running_mean, before)
    assert (model[1].momentum, model[1].num_batches_tracked) == (0.3, 1)


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


def test_offset_penalty_is_the_mean_square_and_pulls_offsets_in():
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=4, layers=(1, 1, 1, 1))
    offset_loss = OffsetLoss(model, 0.5)
    video = torch.randn(1, 3, 8, 32, 32)
    model(video)
    assert offset_loss().item() == 0.0
    for layer in model.sifa_layers().values():
        layer.offset.conv.bias.data.fill_(2.0)
    model(video)
    price = offset_loss()
    assert price.item() == pytest.approx(0.5 * 3 * 4.0)
    price.backward()
    assert all((layer.offset.conv.bias.grad > 0).all() for layer in model.sifa_layers().values())
    assert offset_loss() == 0.0
    with torch.inference_mode():
        model(video)
    assert offset_loss() == 0.0
    free = create_model("sifa_net_tiny", width=4)
    OffsetLoss(free, 0.0)
    assert not any(module._forward_hooks for module in free.modules())


def test_offsets_are_drawn_to_true_motion():
    """Two clips of two frames on 4 x 4 cells of 8 pixels, seen by a layer with 2 x 2 cells of 16 pixels."""
    motion = torch.zeros(2, 2, 4, 4, 2)
    motion[0, 0] = torch.tensor([32.0, -16.0])  # two cells right and one up, everywhere
    motion[0, 0, :2, :2] = float("nan")
    motion[1, 1, 2:, 2:, 0] = 8.0  # half a cell right in one corner
    motion[1, 1, 2, 2] = float("nan")  # of four small cells, three are known
    perfect = torch.zeros(4, 18, 2, 2)
    perfect[0, 0::2], perfect[0, 1::2] = -1.0, 2.0
    perfect[3, 1::2, 1, 1] = 0.5
    assert distance_from_motion(perfect, motion).item() == 0.0
    anywhere = perfect.clone()
    anywhere[0, :, 0, 0] = 7.0
    assert distance_from_motion(anywhere, motion).item() == 0.0, "no price where the truth is unknown"
    # Zero offsets: clip 0 misses by (2, 1) in 3 moving cells of frame 0, clip 1 by half a cell in its only moving one.
    large, small = (1.5 + 0.5) / 2, (0.5 * 0.5**2) / 2
    assert distance_from_motion(torch.zeros(4, 18, 2, 2), motion).item() == pytest.approx((large + small) / 2)
    # Without pairs for the last frames there are two maps, of the first frames.
    assert distance_from_motion(torch.zeros(2, 18, 2, 2), motion).item() == pytest.approx(large / 2)
    with pytest.raises(ConfigError, match="multiples of 32"):
        distance_from_motion(torch.zeros(4, 18, 3, 3), motion)


def test_true_motion_reaches_the_offsets():
    data = MotionDataset("train", 30, MotionConfig(8, 64, 64), fresh=True, with_motion=True)
    batch = collate([data[index, index] for index in range(3)])
    assert batch.motion is not None
    assert batch.motion.shape == (3, 2, 8, 8, 2)
    model = create_model("sifa_net_tiny", width=4)
    offset_loss = OffsetLoss(model, 0.5)
    model(normalize(batch.clips[:, 0], model.info.mean, model.info.std))
    price = offset_loss(batch.motion)
    assert price > 0
    price.backward()
    assert all(layer.offset.conv.bias.grad.abs().max() > 0 for layer in model.sifa_layers().values())


def test_true_motion_goes_to_the_device_of_the_offsets():
    """Batches are drawn on the CPU, wherever the network is."""
    model = create_model("sifa_net_tiny", width=4).to("meta")
    offset_loss = OffsetLoss(model, 0.5)
    model(torch.empty(1, 3, 8, 64, 64, device="meta"))
    assert offset_loss(torch.zeros(1, 2, 8, 8, 2)).device.type == "meta"


@pytest.fixture
def start(tmp_path):
    """A checkpoint of a small network with SIFA, and a function that builds a network from it."""
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=8, layers=(1, 1, 1, 2), num_classes=3)
    path = save_checkpoint(tmp_path / "start.safetensors", model)

    def build(weights=path, **fields):
        content = {"weights": str(weights), "fields": {"width": 8, "layers": [1, 1, 1, 2], **fields}}
        return build_model(from_dict(TrainConfig, {"model": content}), LABELS)

    return model, build


@pytest.mark.parametrize(
    "fields", [{}, {"temporal": "none"}, {"temporal": "temporal_shift"}, {"kernel_size": 5}, {"gate": "channel"}]
)
def test_a_start_lends_all_but_the_head_and_other_temporal_modules(start, fields):
    model, build = start
    network = build(**fields)
    own, theirs, said = network.state_dict(), model.state_dict(), network.info.facts["start"]
    left, new = set(said["left_out_of_the_file"]), set(said["not_in_the_file"])
    assert said["weights"] == "start.safetensors"
    assert said["taken"] == len(theirs) - len(left)
    assert all(torch.equal(own[key], theirs[key]) for key in theirs if key not in left)
    assert {"fc.weight", "fc.bias"} <= left
    assert all(".temporal." in key for key in (left | new) - {"fc.weight", "fc.bias"})
    assert (left | new == {"fc.weight", "fc.bias"}) == (not fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"width": 4}, r"start.safetensors does not fit sifa_net_tiny: conv1.weight is \(8, 3, 4.* more"),
        ({"layers": (1, 1, 1, 1)}, r"layer4.1.conv1.weight is unexpected"),
        ({"layers": (1, 1, 2, 2)}, r"layer3.1.conv1.weight is missing"),
        ({"temporal_stride": 1}, r"conv1.weight is \(8, 3, 4, 7, 7\) instead of \(8, 3, 1, 7, 7\)"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start, fields, said):
    with pytest.raises(CheckpointError, match=said):
        start[1](**fields)


def test_a_name_without_trained_weights_is_no_start(start):
    with pytest.raises(CheckpointError, match="model.weights=sifa_transformer_tiny is no start"):
        start[1](weights="sifa_transformer_tiny")


def test_a_network_that_looks_back_has_no_one_motion():
    content = {"model": {"fields": {"width": 4, "temporal": "sifa_star"}}, "optimizer": {"offset_target": "motion"}}
    with pytest.raises(ConfigError, match="also looks back"):
        build_model(from_dict(TrainConfig, content), LABELS)


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
