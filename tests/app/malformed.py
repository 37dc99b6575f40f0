"""Wrong and odd calls of every route that the server has, made from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from app.gate.allowed import API, ROUTES, SESSION, Body, Route

SEED = 16
TEXTS = ["", "x", "../../etc/passwd", "${7*7}", "<script>", "‮abc", "\x00", "'", '"', "a" * 3000, "http://127.0.0.1/"]
METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH"]
KINDS = ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x", ""]


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    route: Route | None = None
    """The route that it is about, if there is one."""


def value(source: random.Random, depth: int = 3) -> Any:
    """Any JSON."""
    kind = source.randrange(9 if depth else 6)
    if kind >= 7:
        return [value(source, depth - 1) for _ in range(source.randrange(4))]
    if kind == 6:
        return {source.choice([*TEXTS, "path", "meta", "url"]): value(source, depth - 1) for _ in range(3)}
    return [None, True, source.randrange(-5, 500), source.uniform(-1e9, 1e9), -(2**70), source.choice(TEXTS)][kind]


def _fields(page: gr.Blocks, source: random.Random, body: Body) -> dict[str, Any]:
    """A right body, of which a part is then spoilt."""
    number = source.choice(list(page.fns))
    return {
        "data": [value(source) for _ in page.fns[number].inputs],
        "fn_index": number,
        "session_hash": "odd",
        "event_id": "odd",
        "event_data": value(source),
        "trigger_id": source.choice([None, 3, value(source)]),
        "example": value(source),
        "top": value(source),
    }


def _json(page: gr.Blocks, source: random.Random, body: Body) -> bytes:
    fields = _fields(page, source, body)
    for name in source.sample(sorted(fields), source.randrange(4)):
        if source.random() < 0.5:
            del fields[name]
        else:
            fields[name] = value(source)
    text = json.dumps(fields if source.random() < 0.9 else value(source)).encode()
    if source.random() < 0.15:
        place = source.randrange(len(text) + 1)
        text = text[:place] + source.randbytes(3) + text[place:]
    return text[: source.randrange(len(text) + 1)] if source.random() < 0.1 else text


def _form(source: random.Random) -> bytes:
    head = source.choice(
        [
            b'Content-Disposition: form-data; name="files"; filename="a.mp4"',
            b'Content-Disposition: form-data; name="files"',
            b'Content-Disposition: form-data; name="x"; filename=""',
            b"Content-Disposition: form-data; name=files; filename*=utf-9''%ff",
            b"X: y",
            b"A" * 9000,
        ]
    )
    part = b"--x\r\n" + head + b"\r\n\r\n" + source.randbytes(20) + b"\r\n"
    whole = part * source.choice([0, 1, 1, 2, 30]) + source.choice([b"--x--\r\n", b"--x", b""])
    return whole[: source.randrange(len(whole) + 1)] if source.random() < 0.3 else whole


def _path(route: Route, source: random.Random) -> str:
    session = source.choice(["odd", "x" * 64, "x" * 65, "%00", "..", "ä"])
    path = route.path.replace(SESSION, session).replace("[a-z0-9_]{1,40}", source.choice(["predict", "layer", "x"]))
    path = path.replace("(assets|static|svelte)", "assets").replace(
        "[A-Za-z0-9_./@+-]+", source.choice(["x.js", "a/b"])
    )
    path = path.replace("(/[0-9]{1,4})?", "/12").replace("/?", source.choice(["", "/"]))
    query = source.choice(
        ["", f"{route.query or 'a'}=odd", f"{route.query or 'deep_link'}=../x", "__theme=%ff&&=", "x=" + "y" * 3000]
    )
    return f"{path}?{query}" if query else path


def calls(page: gr.Blocks, count: int, source: random.Random) -> Iterator[Call]:
    """`count` calls, of each route in turn. Streams that are left open on purpose are not asked for."""
    routes = [route for route in ROUTES if "heartbeat" not in route.path]
    yield from (Call("GET", f"{API}/heartbeat/{name}", route=_heartbeat()) for name in ("..", "x" * 65))
    for index in range(count):
        route = routes[index % len(routes)]
        method = route.method if source.random() < 0.85 else source.choice(METHODS)
        body, kind = b"", source.choice(KINDS)
        if route.body is Body.FILE:
            body, kind = _form(source), "multipart/form-data; boundary=x" if source.random() < 0.9 else kind
        elif route.body is not Body.NONE:
            body, kind = _json(page, source, route.body), "application/json" if source.random() < 0.9 else kind
        yield Call(method, _path(route, source), body, {"content-type": kind} if kind else {}, route)


def _heartbeat() -> Route:
    return next(route for route in ROUTES if "heartbeat" in route.path)
