"""Bodies of requests, checked before Gradio sees them: JSON of a known form, and file references of this server's own.

Gradio fetches whatever a "file" of any component points to, answers what it does not expect with a traceback, and keeps
what it was sent with the session. So a body is read here and written anew with what is known to be right.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from app.gate.allowed import SESSION_PATTERN, Body, RefusalError

JSON_LIMIT = 1_000_000
"""Bytes of a JSON body."""
DEPTH_LIMIT = 16
"""Lists and objects within each other."""
NUMBER_LIMIT = 2**53
"""Whole numbers beyond it are not the same in JavaScript."""
UPLOADED = re.compile(r"[0-9a-f]{64}/[^/\\\x00]{1,255}")
"""How an upload is called outside: hash of the content, name. Where it lies is the server's business."""
NOT_AN_UPLOAD = {"path": "http://not-an-upload.invalid", "meta": {"_type": "gradio.FileData"}}
"""Stands for a reference to anything but an upload; `app.uploads.only_uploads` answers it in one sentence, and no name
under .invalid has an address."""

Json = Any


def parse_json(body: bytes) -> dict[str, Json]:
    """A JSON object within the limits. Raises RefusalError (400, 413)."""
    if len(body) > JSON_LIMIT:
        raise RefusalError(413, f"A request holds at most {JSON_LIMIT // 1000} kB of JSON.")
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise RefusalError(400, "The request's body is not JSON.") from None
    if not isinstance(value, dict):
        raise RefusalError(400, "The request's body is not a JSON object.")
    _check(value, DEPTH_LIMIT)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _check(value: Json, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if depth == 0:
            raise RefusalError(400, f"The request's JSON is nested more than {DEPTH_LIMIT} deep.")
        for each in value.values() if isinstance(value, dict) else value:
            _check(each, depth - 1)
        for key in value if isinstance(value, dict) else ():
            _check(key, depth)
    elif isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise RefusalError(400, "The request holds half a character (a lone surrogate).")
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) > NUMBER_LIMIT
    ):
        raise RefusalError(400, "The request holds a number beyond 2 to the power of 53.")


class BodyCheck:
    """What the functions of one page take."""

    def __init__(self, page: gr.Blocks, folder: Callable[[], str]) -> None:
        """`folder` gives where Gradio puts uploads."""
        self._page = page
        self._folder = folder

    def rewrite(self, kind: Body, path: str, value: dict[str, Json]) -> dict[str, Json]:
        """The body as Gradio is to get it. Raises RefusalError (400, 404)."""
        if kind is Body.JOIN:
            return self._call(value)
        if kind is Body.NAMED:
            function = self._named(path.rstrip("/").rsplit("/", 1)[-1])
            return {"data": self._arguments(function, value.get("data"))} | _session(value, needed=False)
        if kind is Body.NAMED_FIELDS:
            function = self._named(path.rstrip("/").rsplit("/", 1)[-1])
            return self._fields(function, value)
        if kind is Body.CANCEL:
            return _session(value) | {"fn_index": _number(value, "fn_index")} | _text(value, "event_id")
        return _text(value, "event_id")

    def function(self, kind: Body, path: str, value: Mapping[str, Json]) -> Any:
        """The function that a checked call is of."""
        if kind in (Body.NAMED, Body.NAMED_FIELDS):
            return self._named(path.rstrip("/").rsplit("/", 1)[-1])
        return self._page.fns[value["fn_index"]]

    def publish(self, path: str) -> str:
        """How the upload at a path is called outside."""
        return "/".join(Path(path).parts[-2:])

    def _named(self, name: str) -> Any:
        named = {str(function.api_name): function for function in self._page.fns.values() if _is_named(function)}
        if name not in named:
            *names, last = named
            raise RefusalError(404, f"There is no function of this name; there are {', '.join(names)} and {last}.")
        return named[name]

    def _call(self, value: dict[str, Json]) -> dict[str, Json]:
        function = self._page.fns.get(_number(value, "fn_index"))
        if function is None or not _is_named(function):
            raise RefusalError(404, "The page has no such function; please reload it.")
        arguments = self._arguments(function, value.get("data"))
        trigger = value.get("trigger_id")
        if trigger is not None and type(trigger) is not int:
            raise RefusalError(400, "trigger_id is a whole number.")
        checked = {"data": arguments, "fn_index": function._id, "trigger_id": trigger} | _session(value)
        event = value.get("event_data")
        self._refuse_files(event)
        return checked | ({} if event is None else {"event_data": event})

    def _arguments(self, function: Any, data: Json) -> list[Json]:
        expected = function.inputs
        if not isinstance(data, list) or len(data) > len(expected):
            raise RefusalError(400, f"data is a list of {len(expected)} values.")
        data = data + [component.value for component in expected[len(data) :]]
        return [self._argument(component, each) for component, each in zip(expected, data, strict=True)]

    def _fields(self, function: Any, value: dict[str, Json]) -> dict[str, Json]:
        names = dict(zip(_names(function), function.inputs, strict=True))
        for name in value:
            if name not in names:
                raise RefusalError(400, f"There is no such argument; there are {', '.join(names)}.")
        return {name: self._argument(names[name], each) for name, each in value.items()}

    def _argument(self, component: Any, value: Json) -> Json:
        if isinstance(component, gr.File):
            return self._file(value)
        self._refuse_files(value)
        return value

    def _file(self, value: Json) -> Json:
        if value is None or value == "":
            return None
        path = value.get("path") if isinstance(value, dict) else value
        if not isinstance(path, str) or not UPLOADED.fullmatch(path):
            return NOT_AN_UPLOAD
        folder = Path(self._folder()).resolve()
        place = folder / path
        if place.name in (".", "..") or not place.is_file() or place.is_symlink():
            return NOT_AN_UPLOAD
        return {"path": str(place), "orig_name": place.name, "meta": {"_type": "gradio.FileData"}}

    def _refuse_files(self, value: Json) -> None:
        """Nothing but a file component is given files."""
        if isinstance(value, dict):
            if "path" in value or "url" in value or "meta" in value:
                raise RefusalError(400, "A file is sent here where none is expected.")
            for each in value.values():
                self._refuse_files(each)
        elif isinstance(value, list):
            for each in value:
                self._refuse_files(each)


def _is_named(function: Any) -> bool:
    """Whether everybody may call a function; these check their own arguments and say in words what is wrong."""
    return bool(function.api_visibility == "public")


def _names(function: Any) -> list[str]:
    """The arguments of a function that everybody may call, in their order."""
    return list(inspect.signature(function.fn).parameters)


def _session(value: Mapping[str, Json], needed: bool = True) -> dict[str, Json]:
    session = value.get("session_hash")
    if session is None and not needed:
        return {}
    if not isinstance(session, str) or not SESSION_PATTERN.fullmatch(session):
        raise RefusalError(400, "session_hash has 1 to 64 letters, digits, - and _.")
    return {"session_hash": session}


def _number(value: Mapping[str, Json], name: str) -> int:
    number = value.get(name)
    if type(number) is not int:
        raise RefusalError(400, f"{name} is a whole number.")
    return number


def _text(value: Mapping[str, Json], name: str) -> dict[str, str]:
    text = value.get(name)
    if not isinstance(text, str) or not SESSION_PATTERN.fullmatch(text):
        raise RefusalError(400, f"{name} has 1 to 64 letters, digits, - and _.")
    return {name: text}
