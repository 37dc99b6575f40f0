"""Architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sifa_core.errors import UnknownNameError
from sifa_core.fields import check_choice
from sifa_core.models.imagenet import initialise_from_images, starting_fields

if TYPE_CHECKING:
    from sifa_core.models.base import VideoModel

Factory = TypeVar("Factory", bound=Callable[..., "VideoModel"])
Presets = Mapping[str, Mapping[str, Any]]
"""Named sets of fields."""

PAPER = "paper"
"""The preset that every model has: what the factories default to."""

_FACTORIES: dict[str, Callable[..., VideoModel]] = {}
_PRESETS: dict[str, Presets] = {}


def register_model(*, presets: Presets | None = None) -> Callable[[Factory], Factory]:
    """Decorator: make an architecture known under its function's name, with `presets` beside "paper"."""

    def register(factory: Factory) -> Factory:
        name = factory.__name__
        if name in _FACTORIES:
            raise ValueError(f"model {name!r} is registered twice")
        _FACTORIES[name] = factory
        _PRESETS[name] = {PAPER: {}, **(presets or {})}
        return factory

    return register


def model_names() -> tuple[str, ...]:
    """Names that `create_model` takes."""
    return tuple(sorted(_FACTORIES))


def preset_names(name: str) -> tuple[str, ...]:
    """Presets of the model `name`. Raises UnknownNameError if there is no such model."""
    return tuple(_PRESETS[_check_name(name)])


def create_model(
    name: str, *, preset: str = PAPER, weights: str | Path | None = None, inflate: str = "central", **fields: Any
) -> VideoModel:
    """A model in training mode, untrained or with an image network's weights.

    Args:
        name: one of `model_names()`.
        preset: a named set of fields to start from, one of `preset_names(name)`.
        weights: "imagenet" and, for Swin, "imagenet22k" fetch the matching image network (see
            `sifa_core.models.imagenet`) from the Hugging Face Hub; a path reads it from a .safetensors or .pth file in
            the naming of timm, torchvision or, for Swin, its authors. SIFA-Net then has `gate="channel"`, so that it
            starts as that network frame by frame, unless the fields name a gate or there is another preset. What was
            not matched is in `model.info.facts["start"]`.
        inflate: how the image stem is spread over the frames that ours merges: "central" or "mean".
        fields: fields of the model's configuration, e.g. `num_classes=400, temporal="none", kernel_size=5`.

    Raises:
        UnknownNameError: no such model.
        ConfigError: an unknown field, or a value that the field does not take.
        CheckpointError: `weights` cannot be had or do not fit; unmatched keys are listed.
    """
    check_choice("preset", preset, preset_names(name))
    chosen = {**_PRESETS[name][preset], **fields}
    if not weights:
        return build_from_fields(name, chosen)
    needed = starting_fields(name, weights)
    model = build_from_fields(name, {**needed, **chosen} if preset == PAPER else chosen)
    initialise_from_images(model, weights, inflate)
    return model


def build_from_fields(name: str, fields: Mapping[str, Any]) -> VideoModel:
    """The model `name` with these fields of its configuration and no others. Raises as `create_model` does."""
    return _FACTORIES[_check_name(name)](**fields)


def _check_name(name: str) -> str:
    if name not in _FACTORIES:
        raise UnknownNameError(f"There is no model named {name!r}; choose one of {', '.join(model_names())}.")
    return name
