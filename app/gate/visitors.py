"""Who asks, and how much of them may wait at once, so that no one takes the server from the others.

A visitor is an address; behind one there may be many people, so that a session is bounded, too. Whoever has the fewest
requests waiting has the next turn: a flood from one address makes everybody else wait for one of its requests, not for
all of them.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.gate.allowed import RefusalError
from app.settings import Settings

UPLOAD_WINDOW = 600.0
"""Seconds for which an upload lies on the disk and counts."""
GUESS = 2.0
"""Seconds for a request of which there is no measurement yet."""


def address_of(scope: Mapping[str, Any], proxies: int) -> str:
    """The network address that a request comes from, behind as many trusted proxies; an IPv6 one is its /64 network,
    since that is what one person has."""
    address = scope["client"][0] if scope.get("client") else ""
    if proxies:
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        hops = [hop.strip() for hop in forwarded.decode("latin-1").split(",") if hop.strip()]
        if hops:
            address = hops[-min(proxies, len(hops))]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return str(address)[:64]
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


@dataclass
class Visitors:
    """What is waiting and running in a queue of Gradio's, by visitor. Used in the server's event loop only."""

    settings: Settings
    owners: dict[str, str] = field(default_factory=dict)
    """Event -> address, of those that are not over."""
    uploading: Counter[str] = field(default_factory=Counter)
    uploads: deque[tuple[float, str, int]] = field(default_factory=deque)
    """Time, address and bytes of what has been uploaded lately."""

    def admit(self, queue: Any, function: Any, address: str, session: str | None) -> None:
        """Raise RefusalError (429) if the visitor has enough waiting, or the server has.

        Examples, which are analysed ahead, are bounded by visitor only: they are answered while the queue is full.
        """
        live = queue.event_ids_to_events
        self.owners = {event: owner for event, owner in self.owners.items() if event in live}
        mine = sum(owner == address for owner in self.owners.values())
        of_session = sum(event in live for event in queue.pending_event_ids_session.get(session, ()))
        limits = self.settings
        if session is not None and of_session >= limits.session_queue:
            raise RefusalError(429, f"{of_session} requests of this page are waiting already; please wait for them.", 5)
        if mine >= limits.address_queue:
            raise RefusalError(429, f"{mine} requests from this address are waiting already; please wait for them.", 10)
        waiting = len(queue)
        if waiting >= limits.queue and function.concurrency_id != "examples":
            seconds = max(1, round(waiting * self._seconds(queue, function)))
            raise RefusalError(
                429,
                f"The server is busy: {waiting} requests wait, yours would be number {waiting + 1}; "
                f"please come back in about {seconds} s. The examples can be opened meanwhile.",
                seconds,
            )

    @staticmethod
    def _seconds(queue: Any, function: Any) -> float:
        measured = queue.process_time_per_fn.get(function)
        return float(measured.avg_time) if measured is not None and measured.count else GUESS

    def joined(self, queue: Any, event_id: str, address: str) -> None:
        """Note whose an event is, and put the queue that it waits in into turns: everybody's first request, then
        everybody's second, and so on, each in the order of arrival."""
        event = queue.event_ids_to_events.get(event_id)
        if event is None:  # begun and over already
            return
        self.owners[event_id] = address
        waiting = queue.event_queue_per_concurrency_id[event.concurrency_id].queue
        waiting[:] = in_turns(waiting, [self.owners.get(each._id, "") for each in waiting])

    def begin_upload(self, address: str, size: int) -> None:
        """Raise RefusalError (429) if an upload of `size` bytes would be one too many, at once or lately."""
        if self.uploading[address] >= self.settings.address_queue:
            raise RefusalError(429, f"{self.uploading[address]} files from this address are on their way already.", 10)
        while self.uploads and self.uploads[0][0] < time.monotonic() - UPLOAD_WINDOW:
            self.uploads.popleft()
        everything = sum(each for _, _, each in self.uploads) + size
        mine = sum(each for _, owner, each in self.uploads if owner == address) + size
        most = self.settings.uploads_mb * 1_000_000
        if everything > most or mine > max(most // 2, self.settings.upload_mb * 1_000_000):
            raise RefusalError(429, "There is no room for more files right now; please come back in ten minutes.", 600)
        self.uploading[address] += 1

    def end_upload(self, address: str, size: int) -> None:
        """Note that an upload is over, after `size` bytes."""
        self.uploads.append((time.monotonic(), address, size))
        self.uploading[address] -= 1
        if self.uploading[address] <= 0:
            del self.uploading[address]


def in_turns(events: list[Any], owners: list[str]) -> list[Any]:
    """The events in rounds, each with at most one of every owner; within a round as they came."""
    seen: Counter[str] = Counter()
    rounds = []
    for owner in owners:
        rounds.append(seen[owner])
        seen[owner] += 1
    order = sorted(range(len(events)), key=lambda index: rounds[index])
    return [events[index] for index in order]
