"""Bodies as they arrive: bounded in size and time and, for uploads, to one file; nothing beyond that is stored."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.gate.allowed import RefusalError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

PATIENCE = 20.0
"""Seconds that a sender may pause, and that any body has at least."""
SLOWEST = 16_000
"""Bytes a second that a sender reaches on average."""
HEAD_LIMIT = 8_192
"""Bytes of what stands before the file in a form."""
FORM_BYTES = 20_000
"""What a form has around its file, at most."""


class DisconnectedError(Exception):
    """Whoever sent the request has gone."""


async def timed_receive(receive: Receive, since: float, so_far: int) -> Message:
    """The next message. Raises RefusalError (408) for a sender who is too slow, and DisconnectedError."""
    left = since + PATIENCE + so_far / SLOWEST - time.monotonic()
    try:
        message = await asyncio.wait_for(receive(), max(0.0, min(PATIENCE, left)))
    except TimeoutError:
        raise RefusalError(408, "The request came too slowly.") from None
    if message["type"] != "http.request":
        raise DisconnectedError
    return message


async def whole_body(receive: Receive, limit: int) -> bytes:
    """The body of a request. Raises RefusalError (413, 408) and DisconnectedError."""
    since, parts, size, more = time.monotonic(), [], 0, True
    while more:
        message = await timed_receive(receive, since, size)
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise RefusalError(413, f"A request holds at most {limit // 1000} kB of JSON.")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, and then what comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


class OneFile:
    """A `receive` that passes a form on as it comes, as long as it is one file of at most `limit` bytes."""

    def __init__(self, receive: Receive, content_type: str, limit: int) -> None:
        """Raises RefusalError (415) for anything but a form."""
        found = re.fullmatch(r'multipart/form-data; ?boundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?', content_type)
        if found is None:
            raise RefusalError(415, "An upload is a form (multipart/form-data) with one file.")
        self._receive = receive
        self._delimiter = b"--" + found[1].encode()
        self._limit = limit
        self._since = time.monotonic()
        self._tail = b""
        self._delimiters = 0
        self._head: bytes | None = b""
        self.size = 0
        """Bytes so far."""
        self.refusal: RefusalError | None = None
        """Why it was broken off, if it was: what Gradio's parser makes of the exception is not for the sender."""

    async def __call__(self) -> Message:
        """The next part. Raises RefusalError (400, 408, 413) and DisconnectedError."""
        try:
            message = await timed_receive(self._receive, self._since, self.size)
            self._check(message.get("body", b""), message.get("more_body", False))
        except RefusalError as refusal:
            self.refusal = refusal
            raise
        return message

    def _check(self, part: bytes, more: bool) -> None:
        self.size += len(part)
        if self.size > self._limit + FORM_BYTES:
            raise RefusalError(413, f"The file has more than the {self._limit / 1e6:g} MB that this server takes.")
        text = self._tail + part
        self._delimiters += text.count(self._delimiter)
        keep = len(self._delimiter) - 1
        self._tail = text[len(text) - keep :] if not text.endswith(self._delimiter) else b""
        if self._delimiters > 2:
            raise RefusalError(400, "An upload holds one file.")
        if self._head is not None:
            self._head += part[: HEAD_LIMIT + 4 - len(self._head)]
            if b"\r\n\r\n" in self._head:
                self._check_head(self._head.split(b"\r\n\r\n")[0])
                self._head = None
            elif not more or len(self._head) >= HEAD_LIMIT:
                raise RefusalError(400, "An upload is a form (multipart/form-data) with one file.")
        if not more and self._delimiters != 2:
            raise RefusalError(400, "The upload is not complete.")

    def _check_head(self, head: bytes) -> None:
        if not head.startswith(self._delimiter):
            raise RefusalError(400, "An upload is a form (multipart/form-data) with one file.")
        named = re.search(
            rb'^content-disposition: *form-data;(?=.*\bname="?files"?)(?=.*\bfilename\*?=)', head, re.I | re.M
        )
        if named is None:
            raise RefusalError(400, 'An upload is one file in the field "files".')
