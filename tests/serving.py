"""The page over a service, served within the process of the tests: nothing is loaded or analysed twice for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from app.page import build_page
from app.server import LAUNCH
from app.service import Service
from app.temporary import private_folder
from app.theme import build_theme


class Served(NamedTuple):
    address: str
    service: Service
    folder: Path
    """Where everything that is uploaded lies."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def served(service: Service) -> Iterator[Served]:
    """Serve the page until the end of the `with` block. Nothing is analysed ahead."""
    with private_folder() as folder:
        page = build_page(service).queue(api_open=False)

        def launch() -> str:
            where = {"server_name": "127.0.0.1", "server_port": free_port()}
            address: str = page.launch(**where, theme=build_theme(), prevent_thread_lock=True, **LAUNCH)[1]
            return address

        # In a thread of its own: Playwright keeps an event loop in the one of the tests, and Gradio starts another.
        with ThreadPoolExecutor(1) as pool:
            address = pool.submit(launch).result()
        try:
            yield Served(address, service, folder)
        finally:
            page.close(verbose=False)
