"""What Gradio keeps of visitors who will not ask for it again: it goes while the server runs.

An answer that nobody fetches, names of files that are gone, and memory that is free in this process but not for others.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import gradio as gr

from app.memory import give_back

EVERY = 10.0
"""Seconds between two sweeps."""
UNCLAIMED_SECONDS = 120.0
"""For which an answer waits for being fetched, and what is known of a session that has nothing under way stays."""


class Leftovers:
    """Those of one page; used in the server's event loop only."""

    def __init__(self, page: gr.Blocks) -> None:
        self._page = page
        self._idle: dict[str, tuple[float, int]] = {}
        """Session with nothing under way -> since when, and how many messages it has not fetched."""

    async def sweep_for_ever(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.sweep(time.monotonic())
            await asyncio.to_thread(give_back)

    def sweep(self, now: float) -> None:
        """Drop what has been left since UNCLAIMED_SECONDS before `now`."""
        queue: Any = self._page._queue
        busy = {event.session_hash for event in list(queue.event_ids_to_events.values())}
        idle = {}
        for session in {*queue.pending_messages_per_session, *queue.pending_event_ids_session} - busy:
            messages = queue.pending_messages_per_session.get(session)
            unread = 0 if messages is None else messages.qsize()
            since, before = self._idle.get(session, (now, unread))
            if unread != before:  # somebody is fetching them
                since = now
            if now - since < UNCLAIMED_SECONDS:
                idle[session] = (since, unread)
                continue
            queue.pending_messages_per_session.pop(session, None)
            queue.pending_event_ids_session.pop(session, None)
        self._idle = idle
        for names in self._page.temp_file_sets:  # app/temporary.py deletes the files
            names.clear()
