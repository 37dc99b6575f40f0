"""Starts the web page: `python app/main.py` or `python -m app.main` from the repository's root; as `sifa app`."""

from __future__ import annotations

import logging
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

log = logging.getLogger("app")
ROOT = Path(__file__).resolve().parents[1]
"""The folder from which `app` is imported."""


def serve_page(options: argparse.Namespace) -> None:
    """Serve the page until it is stopped, as the options of the command `app` say.

    Raises SifaError for what cannot be loaded or served.
    """
    make_importable()
    from app.logs import set_up
    from app.memory import use_few_heaps
    from app.models import check_exists
    from app.settings import Settings
    from app.temporary import private_folder
    from sifa_core.commands.options import load
    from sifa_core.data.isolated import shared_readers
    from sifa_core.extras import EXTRAS

    for package in EXTRAS["app"]:  # said before anything else; Gradio itself is loaded last
        if find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    settings = Settings.from_environment(
        model=options.model,
        compare=tuple(options.compare),
        device=options.device,
        host=options.host,
        port=options.port,
    )
    set_up(settings.log)
    use_few_heaps()
    for line in settings.lines():
        log.info("%s", line)
    check_port(settings.host, settings.port)
    for name in settings.compare:
        check_exists(name)
    shared_readers().start()  # while the model is loaded
    model = load(options)
    with private_folder() as folder:
        from app.self_check import check  # Gradio comes last: it is slow to load, and looks for the folder when it does
        from app.server import serve

        check(model, folder)
        finished = serve(model, settings)
    if not finished:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def check_port(host: str, port: int) -> None:
    """Raise ConfigError if the port is taken, before anything that takes time is done."""
    from sifa_core.errors import ConfigError

    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = "is taken or not this machine's"
        raise ConfigError(f"{host}:{port} {reason}; choose another --host or --port.") from error


def make_importable() -> None:
    """Put the root where a plain `python app/main.py` has put this folder."""
    folder = str(ROOT / "app")
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry not in (folder, str(ROOT)))]


if __name__ == "__main__":
    make_importable()
    from sifa_core.cli import main

    sys.exit(main(["app", *sys.argv[1:]]))
