"""The gate: an ASGI middleware around Gradio that passes on what `allowed` lists, once it is checked and bounded."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.exceptions import HTTPException

from app.gate.allowed import Body, RefusalError, Route, find_route, query_value
from app.gate.answers import Answers
from app.gate.bodies import JSON_LIMIT, BodyCheck, parse_json
from app.gate.files import HEADERS, PLOTLY, plotly
from app.gate.leftovers import Leftovers
from app.gate.security import security_headers
from app.gate.stream import DisconnectedError, Message, OneFile, Receive, replay, whole_body
from app.gate.visitors import Visitors, address_of
from app.settings import Settings

Scope = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

HEALTH = "/healthz"
QUEUED = (Body.JOIN, Body.NAMED, Body.NAMED_FIELDS)
STREAM = "/gradio_api/queue/data"
HOST = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
ONE_LINE = re.compile(rb"[\x20-\x7e]*")
FORWARDED = (b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-gradio-server")
TOO_MUCH = 429
PAUSE = 0.5
"""Seconds until somebody who asks too much is told so: whoever asks again at once would take a processor with it."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
FAILED = "Something went wrong here, not with what you did; please try again."

log = logging.getLogger("app.gate")


class Gate:
    """One per page. `state` is shared with whoever starts and stops the server."""

    def __init__(self, app: Callable[..., Awaitable[None]], page: gr.Blocks, state: GateState) -> None:
        self._app = app
        self._page = page
        self._state = state
        self._settings = state.settings
        self._bodies = BodyCheck(page, get_upload_folder)
        self._visitors = Visitors(state.settings)
        self._security = security_headers(state.settings.embed)
        self._answers = Answers(app, page)
        self._sweeping: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(Leftovers(self._page).sweep_for_ever())
        answer = Answer(send, self._security)
        try:
            await self._serve(scope, receive, answer)
        except RefusalError as refusal:
            log.info("refused: %s %s", refusal.status, refusal)
            if refusal.status == TOO_MUCH:
                await asyncio.sleep(PAUSE)
            await answer.refuse(refusal)
        except DisconnectedError:
            await answer.refuse(RefusalError(400, "The request ended early."))
        except Exception as error:
            if isinstance(error.__cause__, HTTPException):  # in a stream of answers to a session that has gone
                await answer.end()
                return
            log.exception("a request failed")
            await answer.refuse(RefusalError(500, FAILED))

    async def _serve(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        _check_headers(scope["headers"])
        path = _path_within(scope["path"], self._settings.root_path)
        query = scope["query_string"].decode("latin-1")
        if path == HEALTH:
            await self._health(answer)
            return
        route = find_route(scope["method"], path, query)
        if path == PLOTLY:
            await answer.give(HEADERS, await plotly(), scope["method"])
            return
        if path == "/":
            scope = scope | {"query_string": _without(scope["query_string"], b"deep_link")}
        self._check_known(path, query)
        if self._state.stopping and route.method == "POST" and route.body not in (Body.CANCEL, Body.RESET):
            raise RefusalError(503, "This server is about to stop; please come back in a minute.", 60)
        if route.body is Body.NONE and path == STREAM:
            await self._answers.stream(query_value(query, "session_hash"), scope, receive, answer)
        elif route.body is Body.NONE:
            await self._app(scope, receive, answer)
        elif route.body is Body.FILE:
            await self._upload(scope, receive, answer)
        else:
            await self._call(route, path, scope, receive, answer)

    async def _health(self, answer: Answer) -> None:
        stopping = self._state.stopping
        told = {"status": "stopping" if stopping else "ok", "waiting": len(self._page._queue)}
        await answer.tell(503 if stopping else 200, told)

    def _check_known(self, path: str, query: str) -> None:
        """Streams of what is not there end in a traceback at Gradio's."""
        queue = self._page._queue
        found = re.search(r"/call/(?:v2/|(?!v2/))[a-z0-9_]+/([A-Za-z0-9_-]+)$", path)
        if path.endswith("/queue/data"):
            known = query_value(query, "session_hash") in queue.pending_messages_per_session
        elif found:
            known = found[1] in queue.event_ids_to_events or found[1] in queue.pending_messages_per_session
            known = known or any(found[1] in events for events in queue.pending_event_ids_session.values())
        else:
            known = True
        if not known:
            raise RefusalError(404, "Nothing is waiting here under this name.")

    async def _call(self, route: Route, path: str, scope: Scope, receive: Receive, answer: Answer) -> None:
        kind = _header(scope, b"content-type").split(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(415, "This address takes JSON (application/json).")
        _check_length(scope, JSON_LIMIT, f"A request holds at most {JSON_LIMIT // 1000} kB of JSON.")
        value = parse_json(await whole_body(receive, JSON_LIMIT))
        checked = self._bodies.rewrite(route.body, path, value)
        body = json.dumps(checked).encode()
        scope = scope | {"headers": _with_length(scope["headers"], len(body))}
        if route.body not in QUEUED:
            await self._app(scope, replay(body, receive), answer)
            return
        address = address_of(scope, self._settings.proxies)
        function = self._bodies.function(route.body, path, checked)
        self._visitors.admit(self._page._queue, function, address, checked.get("session_hash"))
        answer.hold()
        await self._app(scope, replay(body, receive), answer)
        event = _field(answer.body, "event_id")
        if event is not None:
            self._visitors.joined(self._page._queue, event, address)
        await self._answers.receipt(checked.get("session_hash"))
        await answer.release()

    async def _upload(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        limit = self._settings.upload_mb * 1_000_000
        _check_length(scope, limit + 20_000, f"The file has more than the {limit / 1e6:g} MB that this server takes.")
        address = address_of(scope, self._settings.proxies)
        length = _header(scope, b"content-length")
        form = OneFile(receive, _header(scope, b"content-type"), limit)
        self._visitors.begin_upload(address, int(length) if length else 0)
        answer.hold()
        try:
            await self._app(scope, form, answer)
        except Exception as error:
            if form.refusal is not None:
                raise form.refusal from None
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                log.error("an upload could not be stored: %s", os.strerror(error.errno or 0))
                raise RefusalError(507, "This server has no room for the file; please come later.", 600) from None
            raise RefusalError(400, "An upload is one file with a name.") from None
        finally:
            self._visitors.end_upload(address, form.size)
        if form.refusal is not None:
            raise form.refusal
        if answer.status == 200:
            answer.body = json.dumps([self._bodies.publish(path) for path in json.loads(answer.body)]).encode()
        await answer.release()


class GateState:
    """What the gate of a page and its server both know."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = False
        """Nothing new is begun any more."""


class Answer:
    """A `send` that adds the security headers, tells errors in one sentence, and can hold a short answer back."""

    def __init__(self, send: Send, security: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._security = security
        self._held = False
        self._replaced = False
        self._start: Message | None = None
        self._is_begun = False
        self.status = 0
        self.body = b""

    def hold(self) -> None:
        """Collect the answer instead of sending it, until `release`."""
        self._held = True

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400:
                self._replaced = True
            elif self._held:
                self._start = message
            else:
                await self._begin(message)
        elif self._replaced:
            if not message.get("more_body", False):
                await self.refuse(RefusalError(self.status, SENTENCES.get(self.status, FAILED)))
        elif self._held:
            self.body += message.get("body", b"")
        else:
            await self._send(message)

    async def release(self) -> None:
        """Send what was held back, if it was not an error that has been told already."""
        if self._start is None:
            return
        headers = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await self._begin({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": self.body})

    async def end(self) -> None:
        """Say no more, in the middle of a stream."""
        if self._is_begun:
            await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: RefusalError) -> None:
        """Tell why nothing comes, in the words of Gradio's clients; not in the middle of something else."""
        after = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
        await self.tell(refusal.status, {"detail": str(refusal), "error": str(refusal)}, after)

    async def tell(self, status: int, content: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """A JSON answer."""
        if self._is_begun:
            return
        body = json.dumps(content).encode()
        kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._begin({"type": "http.response.start", "status": status, "headers": kind + (headers or [])})
        await self._send({"type": "http.response.body", "body": body})

    async def give(self, headers: list[tuple[bytes, bytes]], body: bytes, method: str) -> None:
        """A file; nothing but its headers for HEAD."""
        length = (b"content-length", str(len(body)).encode())
        await self._begin({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _begin(self, message: Message) -> None:
        self._is_begun = True
        await self._send({**message, "headers": [*message.get("headers", []), *self._security]})


SENTENCES = {
    400: "This request cannot be understood.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The file is larger than this server takes.",
    422: "This request cannot be understood.",
    503: "The server is busy or about to stop; please come back in a minute.",
}


def _check_headers(headers: list[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        proper = HOST if name == b"host" else ONE_LINE if name in FORWARDED or name == b"content-type" else None
        if proper is not None and not proper.fullmatch(value):
            raise RefusalError(400, f"The header {name.decode('latin-1')} cannot be understood.")


def _check_length(scope: Scope, most: int, sentence: str) -> None:
    text = _header(scope, b"content-length")
    if text and (not text.isdecimal() or int(text) > most):
        raise RefusalError(413, sentence)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    rest = [pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding")]
    return [*rest, (b"content-length", str(length).encode())]


def _path_within(path: str, root: str) -> str:
    """The path below the one under which a proxy shows the page, whether the proxy cuts that off or not."""
    return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path


def _without(query: bytes, name: bytes) -> bytes:
    return b"&".join(pair for pair in query.split(b"&") if pair.split(b"=")[0] != name)


def _field(body: bytes, name: str) -> str | None:
    try:
        value = json.loads(body).get(name)
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None
