"""Learning rates, parameter groups, and statistics that rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sifa_core.models import create_model
from sifa_core.training.build import freeze_statistics, keep_statistics
from sifa_core.training.config import OptimizerConfig
from sifa_core.training.optimizer import build_optimizer, cosine, parameter_groups, set_learning_rate


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
