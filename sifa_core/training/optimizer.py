"""Which parameters learn how fast, and when: offset predictors slower, norms, biases and gates without weight decay.

The learning rate is a pure function of the step, so that resuming needs no state of it.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import nn

from sifa_core.layers import SIFA
from sifa_core.training.config import OptimizerConfig

POSITION_BIAS = "relative_position_bias_table"
"""Swin's biases of window attention, by name, for they come as a table."""


_BLOCK = re.compile(r"layer(\d+)(?:_dual)?\.(\d+)\.|layers\.(\d+)\.(?:blocks\.(\d+)|downsample)\.")
_FIRST = ("conv1.", "bn1.", "patch_embed.")


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Groups for an optimizer. Each has "lr", "weight_decay", "peak" (its learning rate at the top) and "is_offset"."""
    offset = {id(p) for m in model.modules() if isinstance(m, SIFA) for p in m.offset.parameters()}
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    factors = layer_factors(model, config.layer_decay)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # vectors are biases, the scales and shifts of norms, and gates: pulling them to zero only does harm
            decays = config.decay_vectors or (parameter.ndim > 1 and not name.endswith(POSITION_BIAS))
            groups.setdefault((id(parameter) in offset, decays, factors[name]), []).append(parameter)
    found = []
    for (is_offset, decays, factor), parameters in groups.items():
        peak = config.lr * factor * (config.offset_lr_factor if is_offset else 1.0)
        decay = config.weight_decay if decays else 0.0
        found.append({"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay, "is_offset": is_offset})
    return found


def layer_factors(model: nn.Module, decay: float) -> dict[str, float]:
    """Name of every parameter -> decay ** (blocks above it): 1 for the head, least for the stem."""
    places: dict[str, tuple[int, int]] = {}
    for name, _ in model.named_parameters():
        if found := _BLOCK.match(name):
            stage, block = found[1] or found[3], found[2] or found[4] or "0"
            places[name] = (int(stage), int(block))
        else:
            places[name] = (-1, 0) if name.startswith(_FIRST) else (99, 0)
    order = sorted(set(places.values()))
    return {name: decay ** (len(order) - 1 - order.index(place)) for name, place in places.items()}


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """SGD with momentum 0.9, or AdamW, over `parameter_groups`."""
    groups = parameter_groups(model, config)
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=config.nesterov)
    return torch.optim.AdamW(groups, lr=config.lr)


def cosine(step: int, steps: int, warmup: int) -> float:
    """Fraction of the peak learning rate at `step` (from 0) of `steps`: a linear rise, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, config: OptimizerConfig) -> float:
    """Set every group's rate for `step`; offset predictors rest until `freeze_offsets_steps`. Returns the fraction."""
    fraction = cosine(step, steps, config.warmup_steps)
    for group in optimizer.param_groups:
        rests = group["is_offset"] and step < config.freeze_offsets_steps
        group["lr"] = 0.0 if rests else group["peak"] * fraction
    return fraction
