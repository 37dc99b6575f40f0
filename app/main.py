"""Starts the web page: `python app/main.py` or `python -m app.main`, from the repository root.

Nothing heavy is imported before the environment is set, because PyTorch and Gradio read it when they load.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

BAD_INPUT = 2
REPOSITORY = Path(__file__).resolve().parents[1]

ENVIRONMENT = {
    # Waiting OpenMP threads that spin slow down everything else on a small machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    # Nothing may leave the machine.
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until it is stopped; returns the exit code, 2 for bad input."""
    options = parse(arguments, os.environ)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    make_importable()
    from app.models import check_exists
    from app.temporary import private_folder
    from sifa_core import SifaError, load_model
    from sifa_core.device import pick_device

    try:
        for name in options.compare:
            check_exists(name)
        model = load_model(options.model, device=pick_device(options.device))
        with private_folder():
            from app.server import serve  # Gradio comes last: it is slow to load, and looks for the folder when it does

            serve(model, compare=options.compare, host=options.host, port=options.port)
    except SifaError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """Command line first, then environment variables, then defaults. Exits with code 2 on a mistake."""
    parser = _Parser(prog="python app/main.py", description="Serve the SIFA Explorer page.")
    parser.add_argument(
        "--model",
        default=environment.get("SIFA_MODEL") or "sifa_net_tiny",
        help="a model's name, .safetensors or .pth file, or hf://user/repo (default: SIFA_MODEL or sifa_net_tiny)",
    )
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="MODEL",
        help="another model to choose on the Compare tab, given as for --model; may be repeated",
    )
    parser.add_argument(
        "--host",
        default=environment.get("GRADIO_SERVER_NAME") or "127.0.0.1",
        help="address to serve on (default: GRADIO_SERVER_NAME or 127.0.0.1)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=environment.get("GRADIO_SERVER_PORT") or "7860",
        help="port to serve on (default: GRADIO_SERVER_PORT or 7860)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs")
    return parser.parse_args(arguments)


def make_importable() -> None:
    """Put the repository root where a plain `python app/main.py` has put this folder."""
    folder = str(REPOSITORY / "app")
    sys.path[:] = [str(REPOSITORY), *(entry for entry in sys.path if entry not in (folder, str(REPOSITORY)))]


class _Parser(argparse.ArgumentParser):
    """Like argparse's own, but a mistake is answered by one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}; see {self.prog} --help\n")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports run from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
