"""Fields of configurations: the KEY=VALUE grammar of all command lines, and the checks that configurations share.

KEY is a field's name, with dots between the levels; VALUE is YAML: `kernel_size=5`, `stages=[res4, res5]`,
`optimizer.lr=1e-3`. Nothing after the sign is an empty text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from sifa_core.errors import ConfigError


def parse_key_values(texts: Iterable[str]) -> dict[str, Any]:
    """Nested dictionaries from texts of the form KEY=VALUE; where two name the same field the later one counts.

    Raises ConfigError.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    merged: Any = OmegaConf.create()
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not all(part.isidentifier() for part in key.strip().split(".")):
            raise ConfigError(f"{text!r} is not of the form key=value.")
        try:
            merged = OmegaConf.merge(
                merged, OmegaConf.from_dotlist([f"{key.strip()}={value if value.strip() else repr('')}"])
            )
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            raise ConfigError(f"The value of {text!r} is not valid YAML.") from error
    return OmegaConf.to_container(merged)  # type: ignore[return-value]  # of a dictionary it makes one


def unknown_field(names: Iterable[object], known: Sequence[str], owner: str) -> ConfigError:
    """What to raise where `owner` lacks fields called `names`; for each the nearest of the `known` ones is named."""
    said = []
    for name in map(str, names):
        nearest = difflib.get_close_matches(name, known, n=1)
        said.append(f"{name} (did you mean {nearest[0]}?)" if nearest else name)
    return ConfigError(f"{owner} has no field {', '.join(said)}; it has {', '.join(known)}.")


def check_choice(field: str, value: object, allowed: Sequence[object]) -> None:
    """Raise ConfigError unless `value` is one of `allowed`, of its type too: 3.0 is not 3, True is not 1."""
    if not any(type(value) is type(choice) and value == choice for choice in allowed):
        choices = ", ".join(map(str, allowed))
        raise ConfigError(f"{field}={value!r} is not possible; choose one of {choices}.")


def check_flags(config: object, *names: str) -> None:
    """Raise ConfigError unless the fields `names` are true or false."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, bool):
            raise ConfigError(f"{name}={value!r} is not possible; it is true or false.")


def check_counts(config: object, *names: str) -> None:
    """Raise ConfigError unless the fields `names` are whole numbers of at least 1, or tuples of such."""
    for name in names:
        value = getattr(config, name)
        for index, part in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(part, bool) or not isinstance(part, int) or part < 1:
                place = f"{name}[{index}]" if isinstance(value, tuple) else name
                raise ConfigError(f"{place}={part!r} is not possible; it is a whole number of at least 1.")


def check_fractions(config: object, *names: str) -> None:
    """Raise ConfigError unless the fields `names` are numbers from 0 up to, not including, 1."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"{name}={value!r} is not possible; it lies from 0 up to, not including, 1.")


def make_tuples(config: object, *names: str) -> None:
    """Turn the fields `names`, which come as lists from JSON and YAML, into tuples. Raises ConfigError for others."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name}={value!r} is not possible; it is a list.")
        object.__setattr__(config, name, tuple(value))
