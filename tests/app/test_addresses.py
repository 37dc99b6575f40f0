"""No part of the page fetches an address, whatever a visitor writes one into: nothing but this machine is asked for.

Every connection and look-up of this process is reported by the interpreter itself (an audit hook). What reads a video
is another process, which cannot make a connection: tests/data/isolated/test_confinement.py.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.service import Service
from app.settings import Settings
from sifa_core.models import VideoModel
from tests.serving import Served, served

ADDRESSES = ("http://192.0.2.1/clip.mp4", "https://somewhere.invalid/clip.mp4")
"""Of no machine: one is reserved for documentation, the other has a name that nobody may have."""
EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0")
HEADERS = ("referer", "origin", "x-forwarded-for", "x-forwarded-prefix", "x-gradio-user")


class Connections:
    """What the process has tried to reach since `clear`, this machine aside."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._on = threading.Event()
        sys.addaudithook(self._hear)  # for good: there is no taking it off

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and self._on.is_set():
            asked = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else arguments[-1]
            host = asked[0] if isinstance(asked, tuple) else asked
            if not isinstance(host, bytes) and host not in HERE and event != "urllib.Request":
                self._seen.append(f"{event} {asked}")
            elif event == "urllib.Request" and not any(f"//{one}" in str(arguments[0]) for one in HERE):
                self._seen.append(f"{event} {arguments[0]}")

    def __enter__(self) -> list[str]:
        self._seen.clear()
        self._on.set()
        return self._seen

    def __exit__(self, *error: object) -> None:
        self._on.clear()


@pytest.fixture(scope="module")
def connections() -> Connections:
    return Connections()


@pytest.fixture(scope="module")
def page(model: VideoModel) -> Iterator[Served]:
    with served(Service(model), Settings(address_queue=10_000, session_queue=10_000, queue=10_000)) as page:
        yield page


def forms(address: str) -> list[Any]:
    """Ways to write an address where a value is expected."""
    data = {"meta": {"_type": "gradio.FileData"}}
    return [
        address,
        {"path": address, **data},
        {"path": "a.mp4", "url": address, **data},
        {"path": f"{'0' * 64}/{address}", **data},
        [{"path": address, **data}],
        {"video": {"path": address, **data}, "example": address},
    ]


def test_a_connection_is_seen(connections: Connections) -> None:
    with connections as seen:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:  # connecting it sends nothing
            attempt.connect(("192.0.2.1", 9))
        with pytest.raises(OSError, match="."):
            socket.getaddrinfo("somewhere.invalid", 80)
    assert len(seen) == 2


def test_no_address_is_fetched(page: Served, connections: Connections) -> None:
    session = "addresses"
    asked = 0
    with connections as seen, httpx.Client(base_url=page.address, timeout=60) as client:
        for address in ADDRESSES:
            client.headers.update(dict.fromkeys(HEADERS, address))
            for path in ("", "config", "gradio_api/info", f"gradio_api/file={address}", f"gradio_api/proxy={address}"):
                client.get(path, params={"example": address, "__theme": address, "deep_link": address})
            for value in forms(address):
                for number, function in page.page.fns.items():
                    data = [value for _ in function.inputs]
                    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": value}
                    way = "queue/join" if function.queue else "run/predict"
                    asked += client.post(f"gradio_api/{way}", json=body).status_code < 500
                for name in ("predict", "explain"):
                    for body in ({"clip": value}, {"example": value}):
                        event = client.post(f"gradio_api/call/v2/{name}", json=body).json().get("event_id")
                        if event is not None:
                            said = client.get(f"gradio_api/call/{name}/{event}").text
                            assert "event: error" in said, (name, body, said)
                for number, component in page.page.blocks.items():
                    for server_function in getattr(component, "server_fns", []):
                        body = {"component_id": number, "fn_name": server_function.__name__, "data": value}
                        client.post("gradio_api/component_server", json={**body, "session_hash": session})
        for content in (f"#EXTM3U\n#EXTINF:1,\n{ADDRESSES[0]}\n", f"ffconcat version 1.0\nfile '{ADDRESSES[0]}'\n"):
            (name,) = client.post("gradio_api/upload", files={"files": (ADDRESSES[0], content.encode())}).json()
            body = {"clip": {"path": name, "meta": {"_type": "gradio.FileData"}}}
            event = client.post("gradio_api/call/v2/predict", json=body).json()["event_id"]
            said = client.get(f"gradio_api/call/predict/{event}").text
            assert "is not a video" in json.dumps(said)
    assert asked > 200
    assert seen == []
