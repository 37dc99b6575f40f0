"""Configuration of a training run: frozen, typed, validated; `recipe.load_config` reads it."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from sifa_core.data.augmentation import Augmentation
from sifa_core.data.motion15.render import LARGEST, SMALLEST
from sifa_core.errors import ConfigError
from sifa_core.fields import unknown_field

T = TypeVar("T")
Precision = Literal["no", "fp16", "bf16"]
"""Number format of a forward: float32, or automatic mixed precision."""


@dataclass(frozen=True)
class ModelConfig:
    """What is trained."""

    name: str = "sifa_net_tiny"
    """Registry name of the architecture."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Fields of the architecture's configuration, e.g. `temporal: none`. The class count follows the data."""
    weights: str = ""
    """Start: empty for random weights, "imagenet" or "imagenet22k", the file of an image network, or a checkpoint of a
    video network, which must fit but for heads and temporal modules."""


@dataclass(frozen=True)
class DataConfig:
    """What it is trained on."""

    kind: Literal["motion15", "list", "folders", "something_v1", "something_v2"] = "motion15"
    """Format of the data set."""
    root: str = ""
    """Folder of the videos (of the frame folders for something_v1)."""
    train: str = ""
    """List, CSV, JSON or folder of the training split; unused by motion15."""
    val: str = ""
    """The same for the validation split."""
    labels: str = ""
    """File of class names: one a line (list, something_v1) or JSON (something_v2)."""
    val_root: str = ""
    """Folder of the validation split's videos, where it is another one than `root`."""
    frames: str = ""
    """How pictures in folders of frames are named, e.g. img_{:05d}.jpg; empty to find out."""
    seed: int = 0
    """Seed of motion15's clips."""
    epoch_size: int = 8000
    """motion15: training clips that count as an epoch. No clip comes twice in a run: clip p of the training is scene
    skip + p of `seed`, so that another run with the same `seed` and `skip` sees the same scenes in the same order."""
    skip: int = 0
    """motion15: scenes to pass over, so that a run which goes on from another one's weights sees new ones."""
    val_size: int = 600
    """motion15: validation clips."""
    num_frames: int = 16
    """T."""
    stride: int = 1
    """Source frames from one frame of a clip to the next; unused by motion15 and Something-Something."""
    crop: int = 96
    """Side of the square that the network sees in training and validation."""
    short_sides: tuple[int, ...] = ()
    """Least and largest short side before cropping; empty for the paper's 256 to 340 at a crop of 224, in proportion.
    Unused by motion15."""
    flip: bool = True
    """Mirror half of the clips; false where a label names a direction; unused by motion15."""
    shapes: tuple[tuple[int, int], ...] = ()
    """motion15: (height, width) of training clips, one drawn for every batch; empty for crop x crop."""
    ramp_steps: int = 0
    """motion15: optimizer steps over which training clips become as hard as the set is."""
    between: float = 0.0
    """motion15: fraction of training clips whose motion falls between feature frames, where only SIFA can see it."""
    between_steps: int = 0
    """motion15: optimizer steps at the beginning in which all training clips are such: SIFA then learns sooner."""
    workers: int = 1
    """Processes that draw or decode clips; 0 for none beside the training process."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", tuple(map(tuple, self.shapes)))
        _at_least(self, 1, "epoch_size", "val_size", "num_frames", "stride", "crop")
        _at_least(self, 0, "seed", "skip", "ramp_steps", "between_steps", "workers")
        if not 0 <= self.between <= 1:
            raise ConfigError(f"data.between={self.between} is not possible; it lies from 0 to 1.")
        if any(len(shape) != 2 for shape in self.shapes):
            raise ConfigError(f"data.shapes={self.shapes} is not possible; it is a list of (height, width).")
        sides = [side for shape in self.shapes for side in shape]
        if self.kind == "motion15" and not all(SMALLEST <= side <= LARGEST for side in sides):
            raise ConfigError(f"data.shapes={self.shapes} is not possible; sides lie from {SMALLEST} to {LARGEST}.")
        if len(self.short_sides) not in (0, 2):
            raise ConfigError(f"data.short_sides={self.short_sides} is not possible; it is two numbers, or empty.")
        if self.kind != "motion15":
            for name in ("train", "val"):
                if not getattr(self, name):
                    raise ConfigError(f"data.{name} must name the {name} split of a data set of kind {self.kind!r}.")
            if self.short_sides and not self.crop <= self.short_sides[0] <= self.short_sides[1]:
                raise ConfigError(f"data.short_sides={self.short_sides} must rise and not lie below crop={self.crop}.")


@dataclass(frozen=True)
class OptimizerConfig:
    """How it learns."""

    name: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum 0.9, or AdamW."""
    nesterov: bool = True
    """Whether SGD's momentum is Nesterov's."""
    lr: float = 0.01
    """Peak learning rate."""
    weight_decay: float = 1e-4
    """Of weights; norms, biases and gates have none unless `decay_vectors` is set."""
    decay_vectors: bool = False
    """Weight decay for norms, biases and gates, too."""
    layer_decay: float = 1.0
    """Learning rate of a block over that of the next one; below 1 the first blocks learn slowest."""
    loss_weight: float = 1.0
    """Factor of the loss of the classes."""
    offset_lr_factor: float = 0.1
    """Learning rate of the offset predictors over that of the rest."""
    offset_penalty: float = 0.0
    """Weight in the loss of how far sampling points lie from `offset_target` (summed over SIFA layers)."""
    offset_target: Literal["cell", "motion"] = "cell"
    """Where that draws them: "cell" to the regular grid, "motion" to where the cell's content goes (motion15 only)."""
    freeze_offsets_steps: int = 0
    """Steps for which the offset predictors stay as they are."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from near zero."""
    clip_norm: float = 0.0
    """Largest gradient norm; 0 for no clipping."""
    label_smoothing: float = 0.0
    """Fraction of the target spread over all classes."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights that is evaluated and saved; 0 for none."""
    freeze_batch_norm: bool = False
    """Keep the statistics of batch normalisation as loaded, for fine-tuning with small batches."""
    precise_batch_norm: int = 0
    """Training batches over which the statistics of batch normalisation are measured for validation and checkpoint;
    0 for the moving average of training."""

    def __post_init__(self) -> None:
        _at_least(self, 0, "weight_decay", "offset_lr_factor", "offset_penalty")
        _at_least(self, 0, "freeze_offsets_steps", "warmup_steps", "clip_norm", "precise_batch_norm")
        if not 0 < self.layer_decay <= 1:
            raise ConfigError(f"optimizer.layer_decay={self.layer_decay} is not possible; it lies above 0, up to 1.")
        if not 0 < self.loss_weight < math.inf:
            raise ConfigError(f"optimizer.loss_weight={self.loss_weight} is not possible; it is a number above 0.")
        if self.precise_batch_norm and self.freeze_batch_norm:
            raise ConfigError("optimizer.precise_batch_norm is not possible with freeze_batch_norm, which keeps them.")
        if not 0 < self.lr < math.inf:
            raise ConfigError(f"optimizer.lr={self.lr} is not possible; it is a finite number above 0.")
        for name in ("label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"optimizer.{name}={getattr(self, name)} is not possible; it lies from 0 to below 1.")


@dataclass(frozen=True)
class RunConfig:
    """How long, where, and what is saved."""

    out: str = "runs/run"
    """Folder of checkpoints, log and TensorBoard events."""
    steps: int = 1000
    """Optimizer steps in all."""
    batch: int = 32
    """Clips in a batch of one process."""
    accumulation: int = 1
    """Batches to an optimizer step."""
    seed: int = 0
    """Seed of initialisation, order and dropout."""
    mixed_precision: Precision = "no"
    """Number format of the forward pass."""
    checkpointing: bool = False
    """Compute each block anew in the backward instead of keeping what it computed: less memory, a third more time."""
    sync_batch_norm: bool = False
    """Share batch statistics between processes (GPUs only)."""
    log_every: int = 10
    """Steps between log lines."""
    eval_every: int = 0
    """Steps between validations; 0 for one at the end only."""
    save_every: int = 200
    """Steps between states to resume from."""
    resume: bool = True
    """Go on from the last state in `out` if there is one; false begins afresh and removes the states there."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "steps", "batch", "accumulation", "log_every", "save_every")
        _at_least(self, 0, "seed", "eval_every")


@dataclass(frozen=True)
class TrainConfig:
    """A whole run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: Augmentation = field(default_factory=Augmentation)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        if self.optimizer.offset_target == "motion" and self.data.kind != "motion15":
            raise ConfigError("optimizer.offset_target=motion needs data.kind=motion15, whose true motion is known.")
        if self.optimizer.offset_target == "motion" and self.augment.mixes:
            raise ConfigError("optimizer.offset_target=motion is not possible with mixed clips: they move twice.")
        if self.data.kind == "motion15" and self.augment.is_for_files:
            raise ConfigError(
                "augment is for clips from files, but for mixup and cutmix; motion15 draws its own light and blur."
            )


def _at_least(config: Any, least: int, *names: str) -> None:
    for name in names:
        if not least <= getattr(config, name) < math.inf:
            raise ConfigError(f"{name}={getattr(config, name)} is not possible; it is a number of at least {least}.")


def from_dict(kind: type[T], content: Any, where: str = "") -> T:
    """Build a configuration dataclass from nested dictionaries, as `to_dict` makes them. Raises ConfigError."""
    if not isinstance(content, dict):
        raise ConfigError(f"{where or 'The configuration'} must be a set of keys and values, not {content!r}.")
    hints = typing.get_type_hints(kind)
    if kind is ModelConfig and isinstance(content.get("switches"), dict):  # the name in older runs and checkpoints
        content = {**content, "fields": {**content["switches"], **content.get("fields", {})}}
        del content["switches"]
    if unknown := [key for key in content if key not in hints]:
        raise unknown_field(unknown, tuple(hints), where or "The configuration")
    values: dict[str, Any] = {}
    for key, value in content.items():
        place = f"{where}.{key}".lstrip(".")
        is_part = dataclasses.is_dataclass(hints[key])
        values[key] = from_dict(hints[key], value, place) if is_part else _typed(kind, key, hints[key], value, place)
    return kind(**values)


def _typed(kind: type, key: str, hint: Any, value: Any, where: str) -> Any:
    """`value` as the type of the field `key` of `kind`. A flag is no number, and a text is neither."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    value = "no" if value is False and "no" in choices else value  # as YAML reads a bare no
    try:
        merged: Any = OmegaConf.to_container(OmegaConf.merge(_schema(kind), {key: value}))
        taken = merged[key]
    except (OmegaConfBaseException, OverflowError):
        taken = None
    if taken is None or any(isinstance(value, exact) is not isinstance(taken, exact) for exact in (bool, str)):
        name = (
            f"none of {', '.join(choices)}"
            if choices
            else f"not of type {hint.__name__ if isinstance(hint, type) else hint}"
        )
        raise ConfigError(f"{where}={value!r} is {name}.")
    return taken


@functools.cache
def _schema(kind: type) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.structured(kind)


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as nested dictionaries, with lists for tuples as in a file."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
