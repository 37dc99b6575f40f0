"""Starts the web page: `python app/main.py` or `python -m app.main` from the repository's root; as `sifa app`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

ROOT = Path(__file__).resolve().parents[1]
"""The folder from which `app` is imported."""


def serve_page(options: argparse.Namespace) -> None:
    """Serve the page until it is stopped, as the options of the command `app` say.

    Raises SifaError for what cannot be loaded or served.
    """
    make_importable()
    from app.models import check_exists
    from app.temporary import private_folder
    from sifa_core.commands.options import load
    from sifa_core.data.isolated import shared_readers

    for name in options.compare:
        check_exists(name)
    shared_readers().start()  # while the model is loaded
    model = load(options)
    with private_folder():
        from app.server import serve  # Gradio comes last: it is slow to load, and looks for the folder when it does

        serve(model, compare=options.compare, host=options.host, port=options.port)


def make_importable() -> None:
    """Put the root where a plain `python app/main.py` has put this folder."""
    folder = str(ROOT / "app")
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry not in (folder, str(ROOT)))]


if __name__ == "__main__":
    make_importable()
    from sifa_core.cli import main

    sys.exit(main(["app", *sys.argv[1:]]))
