"""The training loop. One process, or several under torchrun; mixed precision, accumulation, exact resume.

Several processes make the same step as one on the same global batch as long as batch statistics are frozen. Otherwise
each normalises by the statistics of its own share of the batch, as most recipes do, and the weights differ slightly;
`run.sync_batch_norm` shares the statistics, on GPUs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from sifa_core.data.datasets import Failures
from sifa_core.models.heads import summed_loss
from sifa_core.training.config import TrainConfig
from sifa_core.training.optimizer import set_learning_rate
from sifa_core.training.result import Evaluation
from sifa_core.training.run import Run, TrainingError


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves behind."""

    checkpoint: Path
    """The .safetensors file, with configuration, labels and metrics inside."""
    validation: Evaluation
    """Of the weights in the checkpoint; of all processes together."""
    failures: Failures
    """Broken files of the training split, as all processes met them."""


def train(config: TrainConfig, *, quiet: bool = False, stop_after: int | None = None) -> TrainResult:
    """Run, or go on with, a training run.

    Args:
        config: the whole run; its `run.out` folder receives states, log, TensorBoard events and the checkpoint.
        quiet: no progress bar and no lines on the terminal.
        stop_after: leave after this step as if killed, without saving anything for it.

    Raises:
        TrainingError: the loss is not finite, many batches on end have only broken files, or the run was stopped.
        ConfigError, DatasetError, ModelError: the configuration does not fit the data, the model, or the run that is in
            the folder.
        ExportError: the folder cannot be written to.
    """
    run = Run(config, quiet=quiet)
    accelerator, model, optimizer, progress = run.accelerator, run.model, run.optimizer, run.progress
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=config.optimizer.label_smoothing)
    for batch in run.batches():
        clips, labels, weight = run.inputs(batch)
        clips, targets = run.mixed(clips, labels)
        set_learning_rate(optimizer, progress.step, config.run.steps, config.optimizer)
        with accelerator.accumulate(model), run.batch_statistics(weight):
            with accelerator.autocast():
                logits = model(clips).float()
                learnt = config.optimizer.loss_weight * summed_loss(logits, targets, criterion)
                loss = weight * (learnt + run.offset_loss(batch.motion))
            if not torch.isfinite(loss):
                raise TrainingError(f"The loss is {loss.item()} at step {progress.step}; try a lower learning rate.")
            accelerator.backward(loss)  # scaled under fp16, and divided by the batches that are accumulated
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm or math.inf)
            optimizer.step()  # does nothing while gradients are accumulated, or where the scaler met an overflow
            optimizer.zero_grad()
        run.count(batch, loss, logits, labels)
        if not accelerator.sync_gradients:
            continue
        progress.step += 1
        run.average.update_parameters(accelerator.unwrap_model(model))
        run.log(float(norm), optimizer.param_groups[0]["lr"])
        if progress.step == stop_after:
            raise TrainingError(f"The run was stopped after step {progress.step}.")
        if run.is_due(config.run.eval_every):
            run.validate()
        if run.is_due(config.run.save_every):
            run.save()
    return TrainResult(run.checkpoint, run.close(), run.failures)
