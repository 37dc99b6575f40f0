"""A training run: everything that the loop in `loop.py` turns, and what is validated, logged and saved around it.

Legend: B clips of a process's batch, T frames of H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.utils import gather_object, set_seed  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sifa_core.data.datasets import Batch, Failures
from sifa_core.data.transforms import normalize
from sifa_core.errors import ConfigError, SifaError
from sifa_core.models import save_checkpoint
from sifa_core.models.base import VideoModel
from sifa_core.models.heads import average_heads
from sifa_core.training.build import build_model, freeze_statistics, keep_statistics, recompute_blocks
from sifa_core.training.config import TrainConfig, to_dict
from sifa_core.training.evaluation import evaluate
from sifa_core.training.loading import EndlessSampler, make_loader, training_data, validation_data
from sifa_core.training.mixing import mix
from sifa_core.training.offset_loss import OffsetLoss
from sifa_core.training.optimizer import build_optimizer
from sifa_core.training.precise import with_measured_statistics
from sifa_core.training.recipe import load_config
from sifa_core.training.report import writable_folder, write_report
from sifa_core.training.result import Evaluation
from sifa_core.training.run_logger import RunLogger
from sifa_core.training.sharing import Share
from sifa_core.training.state import CONFIG, Progress, check_config, claim_folder, latest_state, save_state

MOST_BROKEN = 100
"""Batches on end, of one process, of which every file may be broken; the data set is not where it should be then."""


class TrainingError(SifaError):
    """A run that cannot go on; the message says at which step and why."""


class Run:
    """A run at the step where it begins or goes on.

    Args:
        config: the whole run.
        quiet: no progress bar and no lines on the terminal.

    Raises ConfigError, DatasetError, ModelError and ExportError as `train` does.
    """

    def __init__(self, config: TrainConfig, *, quiet: bool) -> None:
        run, learn = config.run, config.optimizer
        self.config, self.folder, self.checkpoint = config, Path(run.out), Path(run.out) / "model.safetensors"
        self.accelerator = Accelerator(
            mixed_precision=run.mixed_precision, gradient_accumulation_steps=run.accumulation
        )
        world, device = self.accelerator.num_processes, self.accelerator.device
        set_seed(run.seed)
        self.dataset = training_data(config, world)
        network = build_model(config, self.dataset.labels)
        self.info, self.failures = network.info, Failures()
        self.progress = Progress(world, self.dataset.identity)
        # Opened now: a mistake in its list or labels should be known before the first step.
        self.validation_set = validation_data(config.data, self.info.labels)
        self.average = _average(network, learn.ema_decay).to(device)
        if run.sync_batch_norm and device.type == "cpu":
            raise ConfigError("run.sync_batch_norm needs GPUs; on CPUs each process keeps its own batch statistics.")
        if run.sync_batch_norm:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        self.offset_loss = OffsetLoss(network, learn.offset_penalty)
        if run.checkpointing:
            recompute_blocks(network, self.offset_loss.paused)
        self.model, self.optimizer = self.accelerator.prepare(network, build_optimizer(network, learn))
        set_seed(run.seed + self.accelerator.process_index)  # dropout differs between processes; initial weights do not
        self._resume()
        self.is_done = self.progress.step >= run.steps
        self._logger: RunLogger | None = None
        if self.accelerator.is_main_process and not self.is_done:
            claim_folder(self.folder, config)
            self._logger = RunLogger(self.folder, run.steps, self.progress.step, quiet)
            self._logger.data(self.dataset.table, self.validation_set.table)
        self.model.train()
        if learn.freeze_batch_norm:
            freeze_statistics(self.model)
        self._sums = torch.zeros(4, device=device)  # loss, top-1 and top-5 hits, clips since the last log line
        self._recent = Failures()  # what this process met since the last state
        self._number = 0  # of the current batch in the run
        self._result: Evaluation | None = None
        self._measured: tuple[int, VideoModel] | None = None  # the step, and the network with precise statistics

    def _resume(self) -> None:
        """Go on from the folder's last state, if there is one of this run and it shall."""
        accelerator = self.accelerator
        accelerator.register_for_checkpointing(self.progress, self.failures, self.average)
        writable_folder(self.folder)
        state = latest_state(self.folder) if self.config.run.resume else None
        if state is not None:
            check_config(self.folder, self.config)
            accelerator.load_state(str(state))
        accelerator.wait_for_everyone()  # until all have compared the configurations

    def batches(self) -> Iterator[Batch]:
        """This process's batches, from the first that is still to come, until all steps are made.

        Raises TrainingError where too many on end have no clip, because every file of theirs is broken.
        """
        run = self.config.run
        start, broken = self.progress.step * run.accumulation, 0
        for number, batch in enumerate(self._loader(start, None) if not self.is_done else (), start):
            self._number = number
            self._recent.add(batch.failures)
            broken = 0 if len(batch.labels) else broken + 1
            if broken == min(MOST_BROKEN, run.steps * run.accumulation):
                last = batch.failures[-1]
                raise TrainingError(f"Every file of {broken} batches on end is broken, the last one: {last}.")
            yield batch
            if self.progress.step == run.steps:
                return

    def _loader(self, start: int, batches: int | None) -> Iterable[Batch]:
        """`batches` of this process from number `start` on; None for no end."""
        run, accelerator = self.config.run, self.accelerator
        sampler = EndlessSampler(
            len(self.dataset),
            run.batch,
            seed=run.seed,
            start=start,
            batches=batches,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
        )
        return make_loader(self.dataset, sampler, self.config.data.workers, run.batch * self.dataset.sample_bytes)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor, bool]:
        """Clips [B, 3, T, H, W] and labels [B] on the device, and whether the batch counts.

        A batch without a whole file does not, yet all processes exchange gradients: it is a grey clip of class 0.
        """
        device, data = self.accelerator.device, self.config.data
        clips, labels = batch.clips, batch.labels
        if not len(labels):
            clips = torch.full((1, 1, data.num_frames, data.crop, data.crop, 3), 128, dtype=torch.uint8)
            labels = torch.zeros(1, dtype=torch.int64)
        video = normalize(clips[:, 0].to(device, non_blocking=True), self.info.mean, self.info.std)
        return video, labels.to(device, non_blocking=True), len(batch.labels) > 0

    def mixed(self, clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The clips and what they are to be learnt as, see `mixing.mix`; drawn by the batch's place in the run."""
        place = [self.config.run.seed, 5, self.accelerator.process_index, self._number]
        return mix(clips, labels, len(self.dataset.labels), self.config.augment, np.random.default_rng(place))

    def batch_statistics(self, counts: bool) -> AbstractContextManager[None]:
        """Where batch normalisation learns from a batch that counts, and from no other."""
        return nullcontext() if counts else keep_statistics(self.model)

    def count(self, batch: Batch, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch to what the next log line says."""
        clips = torch.tensor(len(batch.labels), device=loss.device)
        best = average_heads(logits).topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
        hits = (rank.sum() * (len(batch.labels) > 0) for rank in (best[:, 0], best))
        self._sums += torch.stack([loss.detach() * clips, *hits, clips])

    def log(self, norm: float, rate: float) -> None:
        """Say that a step is made, and at every `run.log_every`-th what the steps since the last line were like."""
        if self._logger:
            self._logger.step()
        if self.progress.step % self.config.run.log_every == 0:
            *sums, clips = self.accelerator.reduce(self._sums).tolist()
            if self._logger and clips:
                loss, top1, top5 = (value / clips for value in sums)
                self._logger.training(self.progress.step, loss, top1, top5, norm, rate, int(clips))
            self._sums.zero_()

    def is_due(self, every: int) -> bool:
        """Whether what is done every so many steps, and after the last one, is due."""
        step = self.progress.step
        return step == self.config.run.steps or (every > 0 and step % every == 0)

    def validate(self) -> None:
        """Measure the averaged weights."""
        self._result = self._evaluate()
        self.progress.metrics = {"step": self.progress.step, **self._result.to_dict()}
        if self._logger:
            self._logger.validation(self.progress.step, self._result)

    def save(self) -> None:
        """Write the checkpoint, then a state to resume from: a run that has its last one has nothing left to write."""
        _gather(self._recent, self.failures)
        self._network()  # all processes measure its statistics together
        if self.accelerator.is_main_process:
            self._save_checkpoint(self.config)
        save_state(self.accelerator, self.folder, self.progress.step)

    def close(self) -> Evaluation:
        """Write the report of the last validation, and return it."""
        result = self._result or self._evaluate()
        if self.accelerator.is_main_process:
            write_report(result, self.folder)
            if not self.checkpoint.exists():  # somebody has removed it from a run that is done
                self._save_checkpoint(load_config(self.folder / CONFIG))
        if self._logger:
            self._logger.close()
        self.accelerator.end_training()
        return result

    def _save_checkpoint(self, config: TrainConfig) -> None:
        facts = {"step": self.progress.step, "training": to_dict(config), "metrics": self.progress.metrics}
        network = self._network()
        save_checkpoint(self.checkpoint, network, network.info.facts | facts)

    def _network(self) -> VideoModel:
        """What is validated and saved: the averaged weights, where wanted with precise batch statistics."""
        averaged, count = cast(VideoModel, self.average.module), self.config.optimizer.precise_batch_norm
        if not count:
            return averaged
        if self._measured is None or self._measured[0] != self.progress.step:
            start = max(0, self.progress.step * self.config.run.accumulation - count)
            videos = (self.inputs(batch)[0] for batch in self._loader(start, count) if len(batch.labels))
            measured = with_measured_statistics(averaged, videos, self.accelerator.reduce)
            self._measured = (self.progress.step, measured)
        return self._measured[1]

    def _evaluate(self) -> Evaluation:
        """The averaged weights on the validation split, shared by all processes."""
        data, part = self.config.data, Share(self.accelerator.process_index, self.accelerator.num_processes)
        views = f"{data.num_frames} frames, 1 clip x 1 crop of {data.crop} x {data.crop}"
        return part.together(
            evaluate(
                self._network(),
                self.validation_set,
                batch=self.config.run.batch,
                workers=data.workers,
                protocol=f"{data.kind} val, {views}",
                part=part,
            )
        )


def _average(network: VideoModel, decay: float) -> AveragedModel:
    """A copy of the network that follows it: exactly with decay 0, else as a moving average, buffers included."""
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)


def _gather(own: Failures, whole: Failures) -> None:
    """Move what every process met into `whole`, which is then the same for all of them."""
    for counts in gather_object([dict(own.counts)]):
        whole.counts.update(counts)
    own.counts.clear()
