"""The routes that the page and the clients of its API need. Whatever is not in the list does not exist on this server.

Gradio itself has many more: it records cameras, fetches addresses, hands out files, edits its own source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl

API = "/gradio_api"
TEXT_LIMIT = 2_000
"""Characters of a path, and of a query."""
SESSION = r"[A-Za-z0-9_-]{1,64}"
"""What a browser or client may call its session, and Gradio an event or an upload."""
SESSION_PATTERN = re.compile(SESSION)


class Body(Enum):
    """What the body of a request is."""

    NONE = auto()
    JOIN = auto()
    """A call of any function of the page, by its number, to be queued."""
    NAMED = auto()
    """A call of an endpoint by its name, with values in order."""
    NAMED_FIELDS = auto()
    """The same with values by name."""
    CANCEL = auto()
    RESET = auto()
    FILE = auto()
    """One file, as a form."""


@dataclass(frozen=True)
class Route:
    """One route that is there."""

    method: str
    path: str
    """Regular expression of the whole path."""
    body: Body = Body.NONE
    query: str = ""
    """A parameter that must be there and look like a session, if any."""


PAGE = (
    Route("GET", "/"),
    Route("GET", "/config/?"),
    Route("GET", "/theme.css"),
    Route("GET", "/favicon.ico"),
    Route("GET", "/robots.txt"),
    Route("GET", "/plotly.min.js"),
    Route("GET", "/manifest.json"),
    Route("GET", "/pwa_icon(/[0-9]{1,4})?"),
    Route("GET", r"/(assets|static|svelte)/[A-Za-z0-9_./@+-]+"),
    Route("GET", f"{API}/theme.css"),
)
CALLS = (
    Route("GET", f"{API}/info/?"),
    Route("GET", f"{API}/app_id/?"),
    Route("GET", f"{API}/startup-events"),
    Route("GET", f"{API}/heartbeat/{SESSION}"),
    Route("POST", f"{API}/queue/join", Body.JOIN),
    Route("GET", f"{API}/queue/data", query="session_hash"),
    Route("POST", f"{API}/call/[a-z0-9_]{{1,40}}/?", Body.NAMED),
    Route("GET", f"{API}/call/[a-z0-9_]{{1,40}}/{SESSION}"),
    Route("POST", f"{API}/call/v2/[a-z0-9_]{{1,40}}/?", Body.NAMED_FIELDS),
    Route("GET", f"{API}/call/v2/[a-z0-9_]{{1,40}}/{SESSION}"),
    Route("POST", f"{API}/cancel", Body.CANCEL),
    Route("POST", f"{API}/reset/?", Body.RESET),
    Route("POST", f"{API}/upload", Body.FILE),
    Route("GET", f"{API}/upload_progress", query="upload_id"),
)
ROUTES = PAGE + CALLS
_PATTERNS = [(re.compile(route.path), route) for route in ROUTES]


class RefusalError(Exception):
    """A request that is not passed on; `str()` of it is one sentence, `status` the HTTP status with it."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
        """Seconds after which the same request may be answered, if that is known."""


def find_route(method: str, path: str, query: str) -> Route:
    """The route of a request; HEAD is answered where GET is. Raises RefusalError (404, 405, 400, 414)."""
    if len(path) > TEXT_LIMIT or len(query) > TEXT_LIMIT:
        raise RefusalError(414, f"An address here has at most {TEXT_LIMIT} characters.")
    found = [route for pattern, route in _PATTERNS if pattern.fullmatch(path)]
    if not found or ".." in path:
        raise RefusalError(404, "There is nothing at this address.")
    for route in found:
        if route.method == ("GET" if method == "HEAD" else method):
            if route.query and not SESSION_PATTERN.fullmatch(query_value(query, route.query)):
                raise RefusalError(400, f"This address needs {route.query}=, at most 64 letters, digits, - and _.")
            return route
    raise RefusalError(405, f"This address takes {found[0].method} only.")


def query_value(query: str, name: str) -> str:
    """The first value of a parameter; empty if there is none."""
    return next((value for key, value in parse_qsl(query) if key == name), "")
