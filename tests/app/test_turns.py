"""Who may have how much waiting, whose turn is next, and how a server stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.gate.visitors import address_of, in_turns
from app.server import drain
from app.service import Service
from app.settings import Settings
from sifa_core.models import VideoModel
from tests.serving import Served, served


def test_turns_are_taken_by_visitors_not_by_requests() -> None:
    assert "".join(in_turns(list("abcdef"), ["1", "1", "1", "2", "1", "3"])) == "adfbce"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "1.2.3.4", "127.0.0.1"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "", "127.0.0.1"),
        (1, "x" * 300, "x" * 64),
    ],
)
def test_only_trusted_proxies_say_who_a_visitor_is(proxies: int, forwarded: str, address: str) -> None:
    scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    assert address_of(scope, proxies) == address


def ask(page: Served, visitor: str, session: str) -> httpx.Response:
    """Joins the queue with a question that is answered by words."""
    headers = {"x-forwarded-for": visitor}
    url = f"{page.address}gradio_api/call/predict"
    return httpx.post(url, json={"data": [None, "nobody"], "session_hash": session}, headers=headers)


def answer(page: Served, session: str) -> str:
    return httpx.get(f"{page.address}gradio_api/queue/data?session_hash={session}", timeout=60).text


@pytest.fixture
def busy(model: VideoModel, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """busy(settings): a page whose model works on one request until `release` is set."""

    def make(settings: Settings) -> Any:
        service = Service(model)
        release, begun = threading.Event(), threading.Event()

        def example(name: str) -> Any:
            begun.set()
            release.wait(60)
            return Service.example(service, name)

        monkeypatch.setattr(service, "example", example)
        return served(service, settings), release, begun

    return make


def test_bounds_by_session_address_and_server(busy: Callable[..., Any]) -> None:
    page, release, begun = busy(Settings(queue=6, address_queue=5, session_queue=4))
    with page as page:
        try:
            assert ask(page, "1.1.1.1", "a").status_code == 200
            assert begun.wait(30)
            for _ in range(3):
                assert ask(page, "1.1.1.1", "a").status_code == 200
            session = ask(page, "1.1.1.1", "a")
            assert (session.status_code, session.headers["retry-after"]) == (429, "5")
            assert session.json()["detail"] == "4 requests of this page are waiting already; please wait for them."
            assert ask(page, "1.1.1.1", "b").status_code == 200
            assert "from this address" in ask(page, "1.1.1.1", "c").json()["detail"]
            assert ask(page, "2.2.2.2", "d").status_code == 200
            assert ask(page, "3.3.3.3", "e").status_code == 200
            full = ask(page, "4.4.4.4", "f")
            assert full.status_code == 429
            assert full.json()["detail"].startswith("The server is busy: 6 requests wait, yours would be number 7;")
            assert int(full.headers["retry-after"]) >= 1
            (opening,) = (number for number, one in page.page.fns.items() if one.api_name == "open_example")
            body = {"data": ["earth_rotates"], "fn_index": opening, "session_hash": "g"}
            join = f"{page.address}gradio_api/queue/join"
            headers = {"x-forwarded-for": "4.4.4.4"}
            assert httpx.post(join, json=body, headers=headers).status_code == 200, "examples answer while it is full"
        finally:
            release.set()


def test_a_visitor_waits_for_one_request_of_a_flood(busy: Callable[..., Any]) -> None:
    page, release, begun = busy(Settings())
    with page as page:
        try:
            first = ask(page, "1.1.1.1", "flood")
            assert first.status_code == 200
            assert begun.wait(30)
            for number in range(8):
                ask(page, "1.1.1.1", f"flood{number}")
            ask(page, "2.2.2.2", "visitor")
            queue = page.page._queue.event_queue_per_concurrency_id["model"].queue
            assert [event.session_hash for event in queue].index("visitor") == 1
        finally:
            release.set()
        assert "There is no example" in answer(page, "visitor")


def test_stopping_finishes_what_runs_and_begins_nothing(busy: Callable[..., Any]) -> None:
    page, release, begun = busy(Settings())
    with page as page, ThreadPoolExecutor(2) as pool:
        ask(page, "1.1.1.1", "running")
        assert begun.wait(30)
        told = pool.submit(answer, page, "running")
        stopped = pool.submit(drain, page.page, page.gate, threading.Event())
        while not page.gate.stopping:
            pass
        refused = ask(page, "2.2.2.2", "late")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert httpx.get(f"{page.address}healthz").status_code == 503
        assert not stopped.done()
        release.set()
        assert stopped.result(30)
        assert "There is no example" in told.result(30)


def test_stopping_does_not_wait_for_ever(busy: Callable[..., Any]) -> None:
    page, release, begun = busy(replace(Settings(), stop_seconds=0))
    with page as page:
        ask(page, "1.1.1.1", "running")
        assert begun.wait(30)
        assert not drain(page.page, page.gate, threading.Event())
        release.set()


@pytest.mark.parametrize("prefix", ["", "sifa/"])
def test_a_page_below_a_path_answers_whether_the_proxy_cuts_that_off_or_not(service: Service, prefix: str) -> None:
    with served(service, Settings(root_path="/sifa")) as page:
        origin = page.address.split("/sifa")[0].rstrip("/")
        config = httpx.get(f"{origin}/{prefix}config").json()
        assert config["root"] == f"{origin}/sifa"
        call = httpx.post(f"{origin}/{prefix}gradio_api/call/predict", json={"data": [None, "nobody"]}).json()
        answer = httpx.get(f"{origin}/{prefix}gradio_api/call/predict/{call['event_id']}").text
        assert "There is no example 'nobody'" in answer
        assert httpx.get(f"{origin}/{prefix}gradio_api/file=/etc/passwd").status_code == 404
