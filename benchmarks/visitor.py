"""A visitor of a served page: what a browser or a script sends, over plain HTTP."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import httpx

API = "/gradio_api"
FILE = {"_type": "gradio.FileData"}
PATIENCE = 300.0
"""Seconds until an answer is given up."""


class RefusedError(Exception):
    """What the page says instead of an answer: one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        """Of HTTP; 200 where the work was begun and could not be done."""


class Visitor:
    """One session from one address. Every method raises RefusedError with the page's sentence."""

    def __init__(self, address: str, network_address: str = "", own_address: str | None = None) -> None:
        """`network_address` counts where the page trusts a proxy in front of it; `own_address` is one of this machine
        that connections are made from, such as 127.0.0.2."""
        headers = {"x-forwarded-for": network_address} if network_address else {}
        transport = httpx.HTTPTransport(local_address=own_address)
        self.http = httpx.Client(base_url=address, headers=headers, timeout=PATIENCE, transport=transport)
        self.session = secrets.token_hex(8)

    def close(self) -> None:
        """Leave."""
        self.http.close()

    def upload(self, path: Path) -> dict[str, Any]:
        """Send a file; what stands for it in calls."""
        with path.open("rb") as content:
            (name,) = self._json(self.http.post(f"{API}/upload", files={"files": (path.name, content)}))
        return {"path": name, "meta": FILE}

    def ask(self, function: str, **values: Any) -> int | str:
        """Have an endpoint begin; the number of the event."""
        event: str = self._json(self.http.post(f"{API}/call/v2/{function}", json=values))["event_id"]
        return event

    def call(self, function: str, **values: Any) -> Any:
        """What an endpoint answers."""
        event = self.ask(function, **values)
        kind = ""
        with self.http.stream("GET", f"{API}/call/{function}/{event}") as answer:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "complete":
                    return json.loads(value)[0]
                elif name == "data" and kind == "error":
                    raise RefusedError(200, _sentence(json.loads(value)))
        raise RefusedError(answer.status_code, "The answer ended early.")

    @staticmethod
    def _json(response: httpx.Response) -> Any:
        if response.status_code != 200:
            raise RefusedError(response.status_code, _sentence(response.json()))
        return response.json()


def _sentence(told: Any) -> str:
    return str(told.get("detail") or told.get("error")) if isinstance(told, dict) else str(told)
