"""Options that several commands share, and what they turn into."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from sifa_core.data.isolated import Readers
    from sifa_core.models import VideoModel


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --architecture, --device; `load` reads them."""
    parser.add_argument(
        "--model",
        default=os.environ.get("SIFA_MODEL") or "sifa_net_tiny",
        help="a model's name, .safetensors or .pth file, or hf://user/repo (default: SIFA_MODEL or sifa_net_tiny)",
    )
    parser.add_argument("--architecture", metavar="NAME", help="what to build, for weights that do not say it")
    parser.add_argument("--device", default="auto", help='"cpu", "cuda", or "auto" (default)')


def load(options: argparse.Namespace) -> VideoModel:
    """The model that the options name, on their device."""
    from sifa_core.device import pick_device
    from sifa_core.models import load_model

    return load_model(options.model, architecture=options.architecture, device=pick_device(options.device))


def add_trusted_option(parser: argparse.ArgumentParser) -> None:
    """--trusted; `video_readers` reads it."""
    parser.add_argument(
        "--trusted",
        action="store_true",
        help="read videos in this process, not in a confined one: for files that are surely what they seem to be",
    )


def video_readers(options: argparse.Namespace) -> Readers:
    """Who reads the clips. Processes that take time to start do so while the model is loaded."""
    from sifa_core.data.isolated import Readers, shared_readers

    readers = Readers(isolate=False) if options.trusted else shared_readers()
    readers.start()
    return readers


class Bar:
    """A progress bar on standard error, where somebody is there to see it; called with (done, all)."""

    def __init__(self, unit: str) -> None:
        self._bar = tqdm(unit=unit, disable=not sys.stderr.isatty())

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()


def whole_number(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `least`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"it must be at least {least}")
        return value

    parse.__name__ = "whole number"  # argparse names the type in its message
    return parse
