"""The command `app`: serves the web page.

The page is a program of its own that stands on this package; the package starts it from its folder and imports none of
it.
"""

from __future__ import annotations

import argparse
import os
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from sifa_core.commands.options import add_model_options
from sifa_core.paths import shipped

ENVIRONMENT = {
    # Waiting OpenMP threads that spin slow down everything else on a small machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    # Nothing may leave the machine.
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Read by PyTorch and Gradio when they load; what is set already counts."""


def add(commands: Any) -> None:
    """Add the command to the parser. Where an environment variable names a default, the option still wins."""
    parser = commands.add_parser("app", help="serve the web page")
    add_model_options(parser)
    parser.add_argument(
        "--compare",
        action="append",
        default=None,
        metavar="MODEL",
        help="another model to choose on the Compare tab, given as for --model; may be repeated (default: those of "
        "SIFA_COMPARE, separated by commas)",
    )
    parser.add_argument(
        "--host",
        default=os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1",
        help="address to serve on (default: GRADIO_SERVER_NAME or 127.0.0.1)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("GRADIO_SERVER_PORT") or "7860",
        help="port to serve on (default: GRADIO_SERVER_PORT or 7860)",
    )
    parser.set_defaults(run=_serve, device=os.environ.get("SIFA_DEVICE") or "auto")


def _serve(options: argparse.Namespace) -> None:
    if options.compare is None:
        options.compare = [name for part in os.environ.get("SIFA_COMPARE", "").split(",") if (name := part.strip())]
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    spec = spec_from_file_location("app.main", shipped("app", "main.py"))
    assert spec is not None
    assert spec.loader is not None
    program = module_from_spec(spec)
    spec.loader.exec_module(program)
    program.serve_page(options)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports run from 1 to 65535")
    return int(text)
