"""Architectures by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sifa_core.errors import UnknownNameError
from sifa_core.layers.registry import check_choice

if TYPE_CHECKING:
    from sifa_core.models.base import VideoModel

Factory = TypeVar("Factory", bound=Callable[..., "VideoModel"])
_FACTORIES: dict[str, Callable[..., VideoModel]] = {}

PRESETS: dict[str, dict[str, Any]] = {"paper": {}}
"""Named sets of switches; "paper" is what the configurations default to."""


def register_model(factory: Factory) -> Factory:
    """Decorator: make an architecture known under its function's name."""
    name = factory.__name__
    if name in _FACTORIES:
        raise ValueError(f"model {name!r} is registered twice")
    _FACTORIES[name] = factory
    return factory


def model_names() -> tuple[str, ...]:
    """Names that `create_model` takes."""
    return tuple(sorted(_FACTORIES))


def create_model(name: str, *, preset: str = "paper", **switches: Any) -> VideoModel:
    """An untrained model in training mode.

    Args:
        name: one of `model_names()`.
        preset: a named set of switches to start from.
        switches: fields of the model's configuration, e.g. `num_classes=400, temporal="none", kernel_size=5`.

    Raises:
        UnknownNameError: no such model.
        ConfigError: an unknown switch, or a value that the switch does not take.
    """
    if name not in _FACTORIES:
        raise UnknownNameError(f"There is no model named {name!r}; choose one of {', '.join(model_names())}.")
    check_choice("preset", preset, sorted(PRESETS))
    return _FACTORIES[name](**{**PRESETS[preset], **switches})
