"""The training loop. One process, or several under torchrun; mixed precision, accumulation, exact resume.

Several processes make the same step as one on the same global batch as long as batch statistics are frozen. Otherwise
each normalises by the statistics of its own share of the batch, as most recipes do, and the weights differ slightly;
`run.sync_batch_norm` shares the statistics, on GPUs. Legend: B clips of a process's batch, T frames of H x W pixels.
"""

from __future__ import annotations

import dataclasses
import math
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.utils import gather_object, set_seed  # type: ignore[import-untyped]
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sifa_core.data.datasets import Batch, Failures
from sifa_core.errors import ConfigError, SifaError
from sifa_core.models import save_checkpoint
from sifa_core.models.base import VideoModel
from sifa_core.models.heads import average_heads, summed_loss
from sifa_core.training.build import build_model, freeze_statistics, keep_statistics
from sifa_core.training.config import DataConfig, TrainConfig, load_config, to_dict
from sifa_core.training.data import training_data, validation_data
from sifa_core.training.evaluate import Evaluation, evaluate, writable_folder, write_report
from sifa_core.training.journal import Journal
from sifa_core.training.parameters import build_optimizer
from sifa_core.training.penalty import OffsetPenalty
from sifa_core.training.schedule import set_learning_rate
from sifa_core.training.state import (
    CONFIG,
    Progress,
    check_config,
    keep_config,
    latest_state,
    save_state,
)
from sifa_core.training.stream import StreamSampler, make_loader, normalise

CHECKPOINT = "model.safetensors"
MOST_BROKEN = 100
"""Batches on end, of one process, of which every file may be broken; the data set is not where it should be then."""


class TrainingError(SifaError):
    """A run that cannot go on; the message says at which step and why."""


@dataclasses.dataclass(frozen=True)
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
    run, learn = config.run, config.optimizer
    accelerator = Accelerator(mixed_precision=run.mixed_precision, gradient_accumulation_steps=run.accumulation)
    world, rank = accelerator.num_processes, accelerator.process_index
    out, checkpoint = Path(run.out), Path(run.out) / CHECKPOINT
    set_seed(run.seed)
    dataset = training_data(config, world)
    network = build_model(config, dataset.labels)
    info, progress, failures = network.info, Progress(world), Failures()
    average = _average(network, learn.ema_decay).to(accelerator.device)
    averaged = cast(VideoModel, average.module)
    if run.sync_batch_norm and accelerator.device.type == "cpu":
        raise ConfigError("run.sync_batch_norm needs GPUs; on CPUs each process keeps its own batch statistics.")
    if run.sync_batch_norm:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    penalty = OffsetPenalty(network, learn.offset_penalty)
    model, optimizer = accelerator.prepare(network, build_optimizer(network, learn))
    criterion = nn.CrossEntropyLoss(label_smoothing=learn.label_smoothing)
    set_seed(run.seed + rank)  # dropout differs between processes; initial weights do not
    accelerator.register_for_checkpointing(progress, failures, average)
    writable_folder(out)
    state = latest_state(out) if run.resume else None
    if state is not None:
        check_config(out, config)
        accelerator.load_state(str(state))
    accelerator.wait_for_everyone()  # until all have compared the configurations
    journal: Journal | None = None
    is_done = progress.step >= run.steps
    if accelerator.is_main_process and not is_done:
        keep_config(out, config)
        journal = Journal(out, run.steps, progress.step, quiet)
    start = progress.step * run.accumulation
    sampler = StreamSampler(len(dataset), run.batch, seed=run.seed, start=start, rank=rank, world=world)
    model.train()
    if learn.freeze_batch_norm:
        freeze_statistics(model)
    sums, result = torch.zeros(3, device=accelerator.device), None  # loss, hits and clips since the last log line
    recent, broken = Failures(), 0  # what this process met since the last state; batches on end without a clip
    for data in make_loader(dataset, sampler, config.data.workers) if not is_done else ():
        recent.add(data.failures)
        broken = 0 if len(data.labels) else broken + 1
        if broken == min(MOST_BROKEN, run.steps * run.accumulation):
            raise TrainingError(f"Every file of {broken} batches on end is broken, the last one: {data.failures[-1]}.")
        video, labels = _inputs(data, config.data, accelerator.device, info.mean, info.std)
        set_learning_rate(optimizer, progress.step, run.steps, learn)
        with accelerator.accumulate(model), keep_statistics(model) if broken else nullcontext():
            with accelerator.autocast():
                logits = model(video).float()
                loss = summed_loss(logits, labels, criterion) + penalty.take(data.motion)
                loss = loss * (not broken)  # a batch without a clip counts nothing, yet all exchange gradients
            if not torch.isfinite(loss):
                raise TrainingError(f"The loss is {loss.item()} at step {progress.step}; try a lower learning rate.")
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(model.parameters(), learn.clip_norm or math.inf)
            optimizer.step()
            optimizer.zero_grad()
        hits = (average_heads(logits).argmax(dim=1) == labels).sum()
        clips = torch.tensor(len(data.labels), device=hits.device)
        sums += torch.stack([loss.detach() * clips, hits * (not broken), clips])
        if not accelerator.sync_gradients:
            continue
        progress.step += 1
        average.update_parameters(accelerator.unwrap_model(model))
        if journal:
            journal.step()
        if progress.step % run.log_every == 0:
            loss_sum, hit_sum, count = accelerator.reduce(sums).tolist()
            if journal and count:
                rate = optimizer.param_groups[0]["lr"]
                journal.training(progress.step, loss_sum / count, hit_sum / count, float(norm), rate, int(count))
            sums.zero_()
        if progress.step == stop_after:
            raise TrainingError(f"The run was stopped after step {progress.step}.")
        last = progress.step == run.steps
        if last or (run.eval_every and progress.step % run.eval_every == 0):
            result = _validate(accelerator, averaged, config)
            progress.metrics = {"step": progress.step, **result.to_dict()}
            if journal:
                journal.validation(progress.step, result)
        if last or progress.step % run.save_every == 0:
            _gather(recent, failures)
            if accelerator.is_main_process:  # before the state: a run that has its last one has nothing left to write
                _save(checkpoint, averaged, config, progress)
            save_state(accelerator, out, progress.step)
        if last:
            break
    result = result or _validate(accelerator, averaged, config)
    if accelerator.is_main_process:
        write_report(result, out)
        if not checkpoint.exists():  # somebody has removed it from a run that is done
            _save(checkpoint, averaged, load_config(out / CONFIG), progress)
    if journal:
        journal.close()
    accelerator.end_training()
    return TrainResult(checkpoint, result, failures)


def _average(network: VideoModel, decay: float) -> AveragedModel:
    """A copy of the network that follows it: exactly with decay 0, else as a moving average, buffers included."""
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)


def _inputs(
    data: Batch, view: DataConfig, device: torch.device, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, 3, T, H, W) and labels [B] on the device; a grey clip of class 0 if every clip of the batch is broken."""
    if not len(data.labels):
        grey = torch.full((1, view.num_frames, view.crop, view.crop, 3), 128, dtype=torch.uint8, device=device)
        return normalise(grey, mean, std), torch.zeros(1, dtype=torch.int64, device=device)
    clips = data.clips[:, 0].to(device, non_blocking=True)
    return normalise(clips, mean, std), data.labels.to(device, non_blocking=True)


def _gather(own: Failures, whole: Failures) -> None:
    """Move what every process met into `whole`, which is then the same for all of them."""
    for counts in gather_object([dict(own.counts)]):
        whole.counts.update(counts)
    own.counts.clear()


def _validate(accelerator: Accelerator, network: VideoModel, config: TrainConfig) -> Evaluation:
    """The validation split, shared by all processes."""
    data = config.data
    views = f"{data.num_frames} frames, 1 clip x 1 crop of {data.crop} x {data.crop}"
    part = evaluate(
        network,
        validation_data(data, network.info.labels),
        batch=config.run.batch,
        workers=data.workers,
        protocol=f"{data.kind} val, {views}",
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )
    if accelerator.num_processes == 1:
        return part
    device, failures = accelerator.device, Failures()
    _gather(part.failures, failures)
    confusion = accelerator.reduce(torch.from_numpy(part.confusion).to(device))
    speeds = accelerator.reduce(torch.from_numpy(part.speeds).to(device))
    loss = accelerator.reduce(torch.tensor(part.loss * part.count, device=device)).item() / max(1, int(confusion.sum()))
    whole = {"confusion": confusion.cpu().numpy(), "speeds": speeds.cpu().numpy(), "loss": loss, "failures": failures}
    return dataclasses.replace(part, **whole)


def _save(path: Path, network: VideoModel, config: TrainConfig, progress: Progress) -> None:
    """Write the checkpoint: weights, and how they came about."""
    facts = {"step": progress.step, "training": to_dict(config), "metrics": progress.metrics}
    save_checkpoint(path, network, network.info.facts | facts)
