"""Builds the page of a model and serves it until told to stop."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Sequence
from typing import Any

from app.page import build_page
from app.service import Service
from app.theme import STYLE, build_theme
from sifa_core import SifaError
from sifa_core.data import Limits
from sifa_core.models import VideoModel

MAX_WAITING = 64
"""Visitors' requests that may wait; the next one is told that the server is busy."""

LAUNCH: dict[str, Any] = {
    "css": STYLE,
    "footer_links": [],
    "run_history": False,
    "enable_monitoring": False,
    "allowed_paths": [],
    "max_file_size": Limits().max_bytes,
    "share": False,
    "ssr_mode": False,
    "mcp_server": False,
    "pwa": False,
    "quiet": True,
}


class AddressError(SifaError):
    """An address or port that cannot be served on."""


def serve(model: VideoModel, *, compare: Sequence[str], host: str, port: int) -> None:
    """Serve the page of `model`, with others to `compare` it with, until interrupted or terminated.

    Raises AddressError if the address cannot be used, ReaderUnavailableError if no clip could be read.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    service = Service(model, compare=compare)
    confinement = service.readers.describe()
    page = build_page(service).queue(max_size=MAX_WAITING, api_open=False)
    try:
        _, url, _ = page.launch(
            server_name=host, server_port=port, theme=build_theme(), prevent_thread_lock=True, **LAUNCH
        )
    except OSError as error:
        raise AddressError(f"{host}:{port} cannot be served on; choose another --host or --port.") from error
    print(f"SIFA Explorer is ready at {url}", flush=True)
    print(confinement, flush=True)
    stop = threading.Event()
    threading.Thread(target=service.warm_up, args=(stop,), daemon=True, name="warm-up").start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    page.close(verbose=False)
