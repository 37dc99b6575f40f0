"""The page over a service, served within the process of the tests: nothing is loaded or analysed twice for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from app.gate.gate import GateState
from app.page import build_page
from app.server import launch
from app.service import Service
from app.settings import Settings
from app.temporary import private_folder


class Served(NamedTuple):
    address: str
    service: Service
    folder: Path
    """Where everything that is uploaded lies."""
    page: gr.Blocks
    gate: GateState


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def served(service: Service, settings: Settings | None = None) -> Iterator[Served]:
    """Serve the page until the end of the `with` block. Nothing is analysed ahead."""
    with private_folder() as folder:
        page = build_page(service)
        where = replace(settings or Settings(), port=free_port())
        # In a thread of its own: Playwright keeps an event loop in the one of the tests, and Gradio starts another.
        with ThreadPoolExecutor(1) as pool:
            address, gate = pool.submit(launch, page, where).result()
        try:
            yield Served(address, service, folder, page, gate)
        finally:
            page.close(verbose=False)
