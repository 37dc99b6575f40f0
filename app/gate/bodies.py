"""Bodies of requests, checked before Gradio sees them: JSON of a known form, and file references of this server's own.

Gradio fetches whatever a "file" of any component points to, answers what it does not expect with a traceback, and keeps
what it was sent with the session. So a body is read here and written anew with what is known to be right.
"""

from __future__ import annotations

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
NAMED = ("predict", "explain", "timeline")
"""Functions that everybody may call; they check their own arguments and say in words what is wrong."""

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
            return self._call(value, queued=True)
        if kind is Body.RUN:
            return self._call(value, queued=False)
        if kind is Body.NAMED:
            function = self._named(path.rstrip("/").rsplit("/", 1)[-1])
            return {"data": self._arguments(function, value.get("data"))} | _session(value, needed=False)
        if kind is Body.NAMED_FIELDS:
            function = self._named(path.rstrip("/").rsplit("/", 1)[-1])
            return self._fields(function, value)
        if kind is Body.LAYER:
            return self._question(value)
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
        if name in NAMED:
            for function in self._page.fns.values():
                if function.api_name == name:
                    return function
        raise RefusalError(404, f"There is no function of this name; there are {', '.join(NAMED)}.")

    def _call(self, value: dict[str, Json], *, queued: bool) -> dict[str, Json]:
        function = self._page.fns.get(_number(value, "fn_index"))
        if function is None or bool(function.queue) is not queued:
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
        if len(data) < len(expected):
            if function.api_name not in NAMED:
                raise RefusalError(400, f"data is a list of {len(expected)} values.")
            data = data + [component.value for component in expected[len(data) :]]
        named = function.api_name in NAMED
        return [self._argument(component, each, named) for component, each in zip(expected, data, strict=True)]

    def _fields(self, function: Any, value: dict[str, Json]) -> dict[str, Json]:
        names = {component.label: component for component in function.inputs}
        for name in value:
            if name not in names:
                raise RefusalError(400, f"There is no such argument; there are {', '.join(names)}.")
        return {name: self._argument(names[name], each, True) for name, each in value.items()}

    def _argument(self, component: Any, value: Json, named: bool) -> Json:
        if isinstance(component, gr.State):
            return None  # the server has its own
        if isinstance(component, gr.File):
            return self._file(value)
        self._refuse_files(value)
        if not named and not _fits(component, value):
            raise RefusalError(400, "A value is not of the kind that the page sends; please reload it.")
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

    def _question(self, value: dict[str, Json]) -> dict[str, Json]:
        component = self._page.blocks.get(_number(value, "component_id"))
        name = value.get("fn_name")
        offered = [function.__name__ for function in getattr(component, "server_fns", [])]
        if not isinstance(name, str) or name not in offered:
            raise RefusalError(404, "The page has no such function; please reload it.")
        question = value.get("data")
        self._refuse_files(question)
        return {"data": question, "component_id": value["component_id"], "fn_name": name} | _session(value)


def _fits(component: Any, value: Json) -> bool:
    """Whether a value may be one of the component's, as its page sends them."""
    if value is None or isinstance(component, (gr.HTML, gr.JSON)):
        return True
    if isinstance(component, gr.Number):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(component, gr.Checkbox):
        return isinstance(value, bool)
    if isinstance(component, gr.Radio):
        return value in [choice for _, choice in component.choices]
    return isinstance(component, (gr.Textbox, gr.Button)) and isinstance(value, str)


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
