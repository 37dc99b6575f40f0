"""Builds the page of a model and serves it until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app.bundle import styles
from app.gate.gate import Gate, GateState
from app.page import build_page
from app.service import Service
from app.sessions import use_lean_sessions
from app.settings import Settings
from app.theme import build_theme
from app.uploads import tidy_uploads
from sifa_core import SifaError
from sifa_core.models import VideoModel

LAUNCH: dict[str, Any] = {
    "css": styles(),
    "footer_links": [],
    "run_history": False,
    "enable_monitoring": False,
    "allowed_paths": [],
    "share": False,
    "ssr_mode": False,
    "mcp_server": False,
    "pwa": False,
    "quiet": True,
    "_frontend": False,  # else Gradio gives up where its own page does not answer it within three seconds
}
DELIVERY_SECONDS = 2.0
"""What finished while the server stops has this long to reach its visitor."""

log = logging.getLogger("app.server")


class AddressError(SifaError):
    """An address or port that cannot be served on."""


def launch(page: gr.Blocks, settings: Settings) -> tuple[str, GateState]:
    """Serve a page behind its gate, in threads of its own; its address, and what tells the gate to close.

    Raises AddressError if the address cannot be used.
    """
    state = GateState(settings)
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "16")  # else Gradio makes a table of 10,000 for every answer
    tidy_uploads()
    use_lean_sessions()
    page.queue(max_size=None, api_open=False)  # the gate bounds what waits, visitor by visitor
    try:
        _, url, _ = page.launch(
            server_name=settings.host,
            server_port=settings.port,
            root_path=settings.root_path,
            max_file_size=settings.upload_mb * 1_000_000,
            state_session_capacity=settings.sessions,
            app_kwargs={"middleware": [Middleware(Gate, page=page, state=state)]},
            theme=build_theme(),
            prevent_thread_lock=True,
            **LAUNCH,
        )
    except OSError as error:
        raise AddressError(
            f"{settings.host}:{settings.port} cannot be served on; choose another --host or --port."
        ) from error
    return str(url), state


def serve(model: VideoModel, settings: Settings) -> bool:
    """Serve the page of `model` until interrupted or terminated; what runs then is finished, see `drain`. False if
    something runs still: a process that ends in the usual way then is aborted.

    Raises AddressError if the address cannot be used, ReaderUnavailableError if no clip could be read.
    """
    service = Service(model, compare=settings.compare, cache_bytes=settings.cache_mb * 1_000_000)
    confinement = service.readers.describe()
    page = build_page(service)
    url, state = launch(page, settings)
    print(f"SIFA Explorer is ready at {url}", flush=True)
    print(confinement, flush=True)
    stop = threading.Event()
    warm_up = threading.Thread(target=service.warm_up, args=(stop,), daemon=True, name="warm-up")
    warm_up.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    hurry = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: hurry.set())
    finished = drain(page, state, hurry)
    page.close(verbose=False)
    warm_up.join(DELIVERY_SECONDS)
    return finished and not warm_up.is_alive()


def drain(page: gr.Blocks, state: GateState, hurry: threading.Event) -> bool:
    """Begin nothing new and wait for what runs or waits, at most `stop_seconds` or until `hurry`; whether all of it
    was finished."""
    state.stopping = True
    queue = page._queue
    end = time.monotonic() + state.settings.stop_seconds

    def is_busy() -> bool:
        return len(queue) > 0 or any(queue.active_jobs)

    if is_busy():
        log.info("stopping once the requests under way are answered")
    while is_busy() and time.monotonic() < end and not hurry.wait(0.05):
        pass
    finished = not is_busy()
    if finished:  # an answer leaves the list of the pending when its visitor has been sent it
        end = time.monotonic() + DELIVERY_SECONDS
        while any(queue.pending_event_ids_session.values()) and time.monotonic() < end and not hurry.wait(0.05):
            pass
    else:
        log.warning("stopping with requests unanswered")
    return finished
