"""Recipes: layers of YAML files and KEY=VALUE texts that make the configuration of a training run."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sifa_core.errors import ConfigError
from sifa_core.fields import parse_key_values
from sifa_core.training.config import TrainConfig, from_dict, to_dict

ENDINGS = (".yaml", ".yml")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe and what is laid over it.

    Args:
        path: a YAML file. `base: FILE` in it names another, beside it, that it builds on. A value may refer to others:
            `${data.num_frames}`, `${divide:512,${data.num_frames}}`; they are read when all layers are there.
            `recipes: {NAME: ...}` holds what a recipe of that name changes, and `recipe: NAME` chooses one.
        overrides: texts of the form KEY=VALUE (see `sifa_core.fields`) and further YAML files; the later one counts.
            `recipe=NAME` chooses another recipe.

    Raises ConfigError for an unreadable file, an unknown field or recipe, or a value of the wrong type or outside its
    range.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_resolver("divide", _divide, replace=True)
    OmegaConf.register_resolver("rounded", _rounded, replace=True)
    layers = [_read(Path(path))]
    layers += [_read(Path(text)) if text.endswith(ENDINGS) else parse_key_values([text]) for text in overrides]
    try:
        chosen = _with_recipe([OmegaConf.create(layer) for layer in layers], str(path))
        content = OmegaConf.to_container(OmegaConf.merge(to_dict(TrainConfig()), *chosen), resolve=True)
    except OmegaConfBaseException as error:
        reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", str(error).splitlines()[0]).rstrip(".")
        raise ConfigError(f"The configuration {path} cannot be completed: {reason}.") from error
    return from_dict(TrainConfig, content)


def _with_recipe(layers: Sequence[Any], source: str) -> list[Any]:
    """The layers, each followed by what the chosen recipe changes in it. Raises ConfigError for an unknown recipe."""
    name = next((layer.recipe for layer in reversed(layers) if "recipe" in layer), None)
    known: dict[str, None] = {}
    chosen = []
    for layer in layers:
        layer.pop("recipe", None)
        recipes = layer.pop("recipes", None) or {}
        known |= dict.fromkeys(map(str, recipes))
        chosen += [layer, recipes[name]] if recipes and name in recipes else [layer]
    if name is not None and name not in known:
        choices = f"choose one of {', '.join(known)}" if known else "it has none"
        raise ConfigError(f"There is no recipe {name!r} in {source}; {choices}.")
    return chosen


def _read(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """The content of a file over that of the files that it builds on; `above` are those that build on it."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        content: Any = OmegaConf.load(path)
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise ConfigError(f"The configuration {path} is not valid YAML.") from error
    if not OmegaConf.is_dict(content):
        raise ConfigError(f"The configuration {path} must be a set of keys and values.")
    base = content.pop("base", None)
    if base is None:
        return content
    file = path.parent / str(base)
    if file in (path, *above):
        raise ConfigError(f"The configuration {path} builds on itself.")
    return OmegaConf.merge(_read(file, (path, *above)), content)


def _divide(number: int, by: int) -> int:
    """`${divide:number,by}` in a recipe, for counts that follow from others."""
    if number % by:
        raise ConfigError(f"{number} does not divide by {by}; name the value that follows from it in the recipe.")
    return number // by


def _rounded(clips: int, *by: int) -> int:
    """`${rounded:clips,batch,accumulation,processes}` in a recipe: the steps in which so many clips are seen."""
    return math.floor(clips / math.prod(by) + 0.5)
