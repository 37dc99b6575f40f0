"""Architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sifa_core.errors import UnknownNameError
from sifa_core.layers.registry import check_choice

if TYPE_CHECKING:
    from sifa_core.models.base import VideoModel

Factory = TypeVar("Factory", bound=Callable[..., "VideoModel"])
Presets = Mapping[str, Mapping[str, Any]]
"""Named sets of switches."""

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


def create_model(name: str, *, preset: str = PAPER, **switches: Any) -> VideoModel:
    """An untrained model in training mode.

    Args:
        name: one of `model_names()`.
        preset: a named set of switches to start from, one of `preset_names(name)`.
        switches: fields of the model's configuration, e.g. `num_classes=400, temporal="none", kernel_size=5`.

    Raises:
        UnknownNameError: no such model.
        ConfigError: an unknown switch, or a value that the switch does not take.
    """
    check_choice("preset", preset, preset_names(name))
    return _FACTORIES[name](**{**_PRESETS[name][preset], **switches})


def _check_name(name: str) -> str:
    if name not in _FACTORIES:
        raise UnknownNameError(f"There is no model named {name!r}; choose one of {', '.join(model_names())}.")
    return name
