"""Learning rate as a pure function of the step, so that resuming needs no state of it."""

from __future__ import annotations

import math

import torch

from sifa_core.training.config import OptimizerConfig


def cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at `step` (from 0) of `steps`: a linear rise, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, config: OptimizerConfig) -> float:
    """Set every group's rate for `step`; offset predictors rest until `freeze_offsets_steps`. Returns the share."""
    share = cosine(step, steps, config.warmup_steps)
    for group in optimizer.param_groups:
        rests = group["is_offset"] and step < config.freeze_offsets_steps
        group["lr"] = 0.0 if rests else group["peak"] * share
    return share
