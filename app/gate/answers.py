"""The streams in which the page gets its answers, one a session, so that no answer is lost between two of them.

Gradio ends a session's stream once it has answered all that it knows of, and its client opens another for the next
question only if it knows of that end when it has the question's receipt. A question that crosses the end would never be
answered. Here a stream goes on while there is more to come, stays for a moment after the last answer, and ends in two
steps: the client is told, and closes the connection. Receipts of questions that come in between wait for the second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from app.gate.stream import Message, Receive

LINGER = 0.5
"""Seconds for which a stream stays after its last answer: most questions follow upon an answer."""
FAREWELL = 5.0
"""Seconds that a client has for closing a stream once it has been told to."""
CLOSE = b'data: {"msg": "close_stream"}\n\n'
CLOSING = b"close_stream"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

Scope = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Answers:
    """One per page; `app` is Gradio's. Used in the server's event loop only."""

    def __init__(self, app: Callable[..., Awaitable[None]], page: gr.Blocks) -> None:
        self._app = app
        self._page = page
        self._asked: dict[str, asyncio.Event] = {}
        """Session -> whether something has been asked since its stream had nothing more to say."""
        self._ends: dict[str, asyncio.Event] = {}
        """Session -> the end of a stream that its client has been told to close."""

    def _pending(self, session: str) -> bool:
        return bool(self._page._queue.pending_event_ids_session.get(session))

    async def stream(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a session's request for its answers, until there are no more and the client has closed it."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            while self._pending(session) or await self._asked_meanwhile(session, gone):
                if not await self._gradios(session, scope, gone, send):
                    return
            if not gone.done():
                await self._end(session, gone, send)
        finally:
            gone.cancel()

    async def receipt(self, session: str | None) -> None:
        """Wait until a question of this session that is in the queue may be confirmed to its client."""
        if session is None:
            return
        if session in self._asked:
            self._asked[session].set()
        if session in self._ends:
            await self._ends[session].wait()

    async def _asked_meanwhile(self, session: str, gone: asyncio.Future[None]) -> bool:
        """Whether something is asked, or has been, while the stream stays for a moment."""
        asked = self._asked[session] = asyncio.Event()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(asked.wait())
        await asyncio.wait((waiting, gone), timeout=LINGER, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._asked.get(session) is asked:
            del self._asked[session]
        return self._pending(session) and not gone.done()

    async def _gradios(self, session: str, scope: Scope, gone: asyncio.Future[None], send: Send) -> bool:
        """Pass one of Gradio's streams on but for its first and last words; whether it came to its end."""
        ended = False

        async def pass_on(message: Message) -> None:
            nonlocal ended
            body = message.get("body", b"")
            if CLOSING in body:
                ended = True
            elif message["type"] == "http.response.body" and body:
                await send({"type": "http.response.body", "body": body, "more_body": True})

        async def receive() -> Message:
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        await self._app(scope, receive, pass_on)
        return ended

    async def _end(self, session: str, gone: asyncio.Future[None], send: Send) -> None:
        end = self._ends[session] = asyncio.Event()
        try:
            await send({"type": "http.response.body", "body": CLOSE, "more_body": True})
            await asyncio.wait((gone,), timeout=FAREWELL)
        finally:
            if self._ends.get(session) is end:
                del self._ends[session]
            end.set()
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
