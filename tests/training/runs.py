"""A run of training for processes of their own."""

from __future__ import annotations

from pathlib import Path

from sifa_core.training import load_config, train


def run(config: Path, *overrides: str) -> None:
    """Train and print what could not be read."""
    print(train(load_config(config, overrides), quiet=True).failures.report())
