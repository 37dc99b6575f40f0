"""What recipes may ask for beyond the paper's: mixed clips, layer decay, precise statistics, recomputed blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sifa_core.data.augmentation import Augmentation
from sifa_core.errors import ConfigError
from sifa_core.models import create_model, load_model
from sifa_core.training import train
from sifa_core.training.build import batch_norms, recompute_blocks
from sifa_core.training.config import OptimizerConfig, TrainConfig, from_dict
from sifa_core.training.mixing import mix
from sifa_core.training.offset_loss import OffsetLoss
from sifa_core.training.optimizer import build_optimizer, layer_factors, parameter_groups
from sifa_core.training.precise import with_measured_statistics

LABELS = torch.tensor([0, 1, 2, 2])


def test_mixup_is_a_weighted_sum_of_clips_and_labels():
    clips = torch.randn(4, 3, 2, 8, 8)
    mixed, targets = mix(clips, LABELS, 3, Augmentation(mixup=0.8), np.random.default_rng(0))
    own = targets[1, 1].item()
    assert 0 < own < 1
    torch.testing.assert_close(mixed[1], own * clips[1] + (1 - own) * clips[0])
    torch.testing.assert_close(targets[0], torch.tensor([own, 0.0, 1 - own]))
    torch.testing.assert_close(targets[3], torch.tensor([0.0, 0.0, 1.0]))  # its partner is of the same class


def test_cutmix_puts_one_box_into_all_frames_and_counts_its_area():
    clips = torch.arange(4.0)[:, None, None, None, None].expand(4, 3, 5, 16, 20)
    for seed in range(8):
        mixed, targets = mix(clips, LABELS, 3, Augmentation(cutmix=1.0), np.random.default_rng(seed))
        foreign = mixed[1] == 0
        assert (foreign == foreign[:1, :1]).all(), "in every frame and channel the same"
        assert targets[1, 0].item() == pytest.approx(foreign.float().mean().item(), abs=1e-6)
        rows, columns = foreign[0, 0].nonzero().T if foreign.any() else (torch.zeros(0), torch.zeros(0))
        if len(rows):
            assert foreign[0, 0].sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
    torch.testing.assert_close(targets.sum(1), torch.ones(4))


def test_mixing_is_drawn_by_the_generator_and_may_be_left_out():
    clips = torch.randn(4, 3, 2, 8, 8)
    both = Augmentation(mixup=0.8, cutmix=1.0)
    first, again = (mix(clips, LABELS, 3, both, np.random.default_rng(7))[0] for _ in range(2))
    assert torch.equal(first, again)
    kinds = {bool((mix(clips, LABELS, 3, both, np.random.default_rng(seed))[0] == clips).any()) for seed in range(9)}
    assert kinds == {True, False}, "boxes leave pixels as they are, sums do not"
    same, labels = mix(clips, LABELS, 3, Augmentation(), np.random.default_rng(0))
    assert same is clips
    assert labels is LABELS
    assert mix(clips[:1], LABELS[:1], 3, both, np.random.default_rng(0))[1].tolist() == [0]


@pytest.mark.parametrize("name", ["sifa_net_tiny", "sifa_transformer_tiny"])
def test_layer_decay_falls_from_the_head_to_the_stem(name):
    model = create_model(name, layers=(1, 1, 2, 2), **({"dual_head": True} if "net" in name else {}))
    factors = layer_factors(model, 0.5)
    assert factors.keys() == dict(model.named_parameters()).keys()
    stem, head = ("conv1.weight", "fc.weight") if "net" in name else ("patch_embed.proj.weight", "head.fc.weight")
    first, middle, last = (
        f"layer{stage + 1}.{block}." if "net" in name else f"layers.{stage}.blocks.{block}."
        for stage, block in ((0, 0), (2, 1), (3, 1))
    )
    by_block = {key: {v for name, v in factors.items() if name.startswith(key)} for key in (first, middle, last)}
    assert factors[head] == 1.0
    assert factors[stem] == 0.5**7
    assert by_block == {first: {0.5**6}, middle: {0.5**3}, last: {0.5}}
    if "net" in name:
        assert factors["layer4_dual.0.conv1.weight"] == factors["layer4.0.conv1.weight"] == 0.25
    else:
        assert factors["layers.3.downsample.norm.weight"] == factors["layers.3.blocks.0.norm1.weight"]
    groups = parameter_groups(model, OptimizerConfig(lr=0.5, layer_decay=0.5, offset_lr_factor=0.1))
    peak = {id(p): group["peak"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert peak[id(parameter)] == pytest.approx(0.5 * factors[name] * (0.1 if ".offset." in name else 1.0))


def test_plain_momentum_and_decay_of_everything():
    model = create_model("sifa_net_tiny", width=4)
    optimizer = build_optimizer(model, OptimizerConfig(nesterov=False, decay_vectors=True, weight_decay=0.1))
    assert {group["nesterov"] for group in optimizer.param_groups} == {False}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.1}


def test_precise_statistics_are_the_means_over_the_batches():
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=4, layers=(1, 1, 1, 1))
    videos = [torch.randn(2, 3, 4, 32, 32) + shift for shift in (0.0, 1.0, 5.0)]
    state = torch.get_rng_state()
    measured = with_measured_statistics(model, videos, lambda x: x)
    assert torch.equal(torch.get_rng_state(), state)
    stems = [model.conv1(video) for video in videos]
    torch.testing.assert_close(measured.bn1.running_mean, torch.stack([x.mean((0, 2, 3)) for x in stems]).mean(0))
    torch.testing.assert_close(measured.bn1.running_var, torch.stack([x.var((0, 2, 3)) for x in stems]).mean(0))
    assert (model.bn1.running_mean == 0).all(), "the network itself keeps its own"


def test_precise_statistics_are_those_of_all_processes():
    """Two batches here and none or two in another process; without any batch nothing changes."""
    layer = nn.Sequential(nn.BatchNorm2d(2))
    here, there = torch.randn(2, 5, 2, 3, 3), torch.randn(2, 5, 2, 3, 3) + 4
    both = with_measured_statistics(layer, [*here, *there], lambda x: x)[0]
    other = with_measured_statistics(layer, there, lambda x: x)[0]
    sums = iter((torch.tensor(2.0), 2 * other.running_mean, 2 * (other.running_var + other.running_mean.square())))
    shared = with_measured_statistics(layer, here, lambda x: x + next(sums))[0]
    torch.testing.assert_close(shared.running_mean, both.running_mean)
    assert (shared.running_var > both.running_var).all(), "what lies between the processes' means counts, too"
    alone = with_measured_statistics(layer, here, lambda x: x)[0]
    none = iter((torch.tensor(2.0), 2 * alone.running_mean, 2 * (alone.running_var + alone.running_mean.square())))
    idle = with_measured_statistics(layer, [], lambda x: x + next(none))[0]
    torch.testing.assert_close(idle.running_mean, alone.running_mean)
    torch.testing.assert_close(idle.running_var, alone.running_var)
    kept = with_measured_statistics(layer, [], lambda x: x)[0]
    assert (kept.running_mean.tolist(), kept.running_var.tolist()) == ([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize("name", ["sifa_net_tiny", "sifa_transformer_tiny"])
def test_recomputed_blocks_give_the_same_gradients_from_less_memory(name):
    kept: dict[bool, int] = {}
    found = {}
    video, labels = torch.randn(2, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 3])
    for recomputed in (False, True):
        torch.manual_seed(0)
        model = create_model(name, drop_path=0.5) if "transformer" in name else create_model(name, width=8)
        offset_loss = OffsetLoss(model, 0.1)
        if recomputed:
            recompute_blocks(model, offset_loss.paused)
        sizes: list[int] = []
        count = sizes.append
        with torch.autograd.graph.saved_tensors_hooks(lambda x, count=count: count(x.numel()) or x, lambda x: x):
            torch.manual_seed(1)  # of dropout and stochastic depth
            loss = nn.functional.cross_entropy(model(video), labels) + offset_loss()
        loss.backward()
        kept[recomputed] = sum(sizes)
        found[recomputed] = (loss.item(), {key: p.grad for key, p in model.named_parameters()}, model.state_dict())
        assert offset_loss() == 0.0, "the second forward adds no offsets"
    assert found[True][0] == pytest.approx(found[False][0])
    for part in (1, 2):
        for key, value in found[False][part].items():
            torch.testing.assert_close(found[True][part][key], value, rtol=1e-4, atol=1e-5)
    assert kept[True] < 0.5 * kept[False]


def test_mixing_and_true_motion_do_not_go_together():
    content = {"optimizer": {"offset_target": "motion"}, "augment": {"mixup": 0.2}}
    with pytest.raises(ConfigError, match="they move twice"):
        from_dict(TrainConfig, content)
    with pytest.raises(ConfigError, match="augment is for clips from files"):
        from_dict(TrainConfig, {"augment": {"grey": 0.2}})
    with pytest.raises(ConfigError, match="precise_batch_norm is not possible with freeze"):
        from_dict(TrainConfig, {"optimizer": {"precise_batch_norm": 2, "freeze_batch_norm": True}})


def test_a_run_with_all_of_it_resumes_exactly(tmp_path):
    content = {
        "model": {"name": "sifa_net_tiny", "fields": {"width": 4, "layers": [1, 1, 1, 1]}},
        "data": {"num_frames": 4, "crop": 32, "val_size": 15, "workers": 0},
        "augment": {"mixup": 0.8, "cutmix": 1.0},
        "optimizer": {"layer_decay": 0.8, "precise_batch_norm": 2, "label_smoothing": 0.1, "loss_weight": 2.0}
        | {"offset_penalty": 0.01},
        "run": {"steps": 3, "batch": 4, "save_every": 1, "eval_every": 2, "checkpointing": True},
    }

    def run(name: str, **more):
        settings = content | {"run": content["run"] | {"out": str(tmp_path / name)}}
        return train(from_dict(TrainConfig, settings), quiet=True, **more)

    whole = run("whole")
    with pytest.raises(Exception, match="stopped after step 2"):
        run("killed", stop_after=2)
    resumed = run("killed")
    one, two = (load_model(result.checkpoint) for result in (whole, resumed))
    assert all(torch.equal(value, two.state_dict()[key]) for key, value in one.state_dict().items())
    assert all(int(module.num_batches_tracked) == 2 for module in batch_norms(one)), "measured over two batches"
