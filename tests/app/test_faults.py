"""What goes wrong around a page costs one sentence to whom it happens, and nothing to anybody else."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import gradio.route_utils
import httpx
import pytest
from starlette.exceptions import HTTPException

from app.gate import stream
from app.gate.gate import Gate
from app.gate.leftovers import UNCLAIMED_SECONDS, Leftovers
from app.main import ROOT
from app.server import AddressError, launch
from app.service import Service
from app.settings import Settings
from sifa_core.cli import main
from sifa_core.data.isolated import Readers, WorkerLimits
from sifa_core.models import VideoModel
from sifa_core.paths import CHECKPOINTS
from tests.data import hostile
from tests.loops import in_a_loop
from tests.serving import Served, free_port, served
from tests.waiting import wait_for

GOOD = hostile.plain(24)


@pytest.fixture(scope="module")
def page(model: VideoModel) -> Iterator[Served]:
    with served(Service(model)) as page:
        yield page


def upload(page: Served, content: bytes, name: str = "clip.mp4") -> httpx.Response:
    return httpx.post(f"{page.address}gradio_api/upload", files={"files": (name, content)}, timeout=60)


def predict(page: Served, content: bytes, name: str = "clip.mp4") -> Any:
    """The answer for a file, or the sentence instead of it."""
    (path,) = upload(page, content, name).json()
    body = {"clip": {"path": path, "meta": {"_type": "gradio.FileData"}}}
    url = f"{page.address}gradio_api/call"
    event = httpx.post(f"{url}/v2/predict", json=body, timeout=60).json()["event_id"]
    lines = httpx.get(f"{url}/predict/{event}", timeout=60).text.splitlines()
    kind, data = lines[-3:-1] if not lines[-1] else lines[-2:]
    told = json.loads(data.removeprefix("data: "))
    return told[0] if kind == "event: complete" else told["error"]


def is_right(answer: Any, content: bytes) -> bool:
    return isinstance(answer, dict) and answer["clip"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="there are no workers")
def test_a_worker_that_is_killed_costs_its_sender_a_sentence(page: Served) -> None:
    page.service.readers.describe()  # until then it has children that are no workers
    template = page.service.readers._running().process.pid
    children = Path(f"/proc/{template}/task/{template}/children")
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(predict, page, hostile.falling_chapters(100), "endless.mkv")
        os.kill(int(wait_for(lambda: children.read_text().split())[0]), signal.SIGKILL)
        assert told.result().startswith("endless.mkv would take more memory to read than")
    assert is_right(predict(page, GOOD), GOOD)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no workers")
def test_a_worker_without_memory_costs_its_sender_a_sentence(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Readers(WorkerLimits(memory_bytes=100_000_000))
    monkeypatch.setattr(page.service, "readers", small)
    told = predict(page, hostile.EXHAUSTING["profile.png"](200), "profile.png")
    assert told.startswith("profile.png would take more memory to read than")
    small.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_disk_that_is_full_is_told_and_nothing_is_left_on_it(
    page: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = gradio.route_utils.NamedTemporaryFile
    before = set(page.folder.rglob("*"))

    def on_a_full_disk(*, delete: bool, dir: str) -> Any:
        file = made(delete=delete, dir=dir)
        os.dup2(full.fileno(), file.fileno())
        return file

    with open("/dev/full", "wb") as full:
        monkeypatch.setattr(gradio.route_utils, "NamedTemporaryFile", on_a_full_disk)
        told = upload(page, bytes(300_000), "large.mp4")
    assert (told.status_code, told.json()["detail"]) == (
        507,
        "This server has no room for the file; please come later.",
    )
    assert os.strerror(errno.ENOSPC) in caplog.text
    assert set(page.folder.rglob("*")) == before
    monkeypatch.undo()
    assert is_right(predict(page, GOOD), GOOD)


def test_an_upload_that_ends_early_leaves_nothing(page: Served) -> None:
    before = set(page.folder.rglob("*"))
    with half_an_upload(page.address):
        wait_for(lambda: set(page.folder.rglob("*")) != before)
    wait_for(lambda: set(page.folder.rglob("*")) == before)


def test_a_slow_sender_is_told_so(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PATIENCE", 0.1)
    before = set(page.folder.rglob("*"))
    with half_an_upload(page.address) as line:
        answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    wait_for(lambda: set(page.folder.rglob("*")) == before)


def test_two_uploads_of_one_name_are_two_clips(page: Served) -> None:
    other = hostile.plain(36)
    with ThreadPoolExecutor(3) as pool:
        contents = [GOOD, other, GOOD]
        answers = list(pool.map(lambda each: predict(page, each, "one.mp4"), contents))
    for content, answer in zip(contents, answers, strict=True):
        assert is_right(answer, content)


def half_an_upload(address: str) -> socket.socket:
    """A connection on which an upload has begun."""
    port = httpx.URL(address).port or 0
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    line.sendall(
        b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + head + bytes(100_000)
    )
    return line


class Busy:
    """A page whose model works on one request until `release` is set."""

    def __init__(self, page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page, self.begun, self.release = page, threading.Event(), threading.Event()
        self.asked: list[str] = []
        monkeypatch.setattr(page.service, "example", self._example)

    def _example(self, name: str) -> Any:
        self.asked.append(name)
        self.begun.set()
        self.release.wait(60)
        return Service.example(self.page.service, name)

    def ask(self, visitor: str) -> str:
        url = f"{self.page.address}gradio_api/call/predict"
        reply = httpx.post(url, json={"data": [None, visitor], "session_hash": visitor}).json()
        return str(reply["event_id"])

    def answer(self, visitor: str) -> str:
        """What the page says to a visitor, who hangs up once there is no more to come."""
        url = f"{self.page.address}gradio_api/queue/data?session_hash={visitor}"
        with httpx.stream("GET", url, timeout=60) as answers:
            lines = []
            for line in answers.iter_lines():
                lines.append(line)
                if "close_stream" in line:
                    break
        return "\n".join(lines)


def test_work_of_a_visitor_who_has_gone_is_dropped(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Busy(page, monkeypatch)
    queue = page.page._queue
    try:
        for visitor in ("first", "second", "third"):
            busy.ask(visitor)
        assert busy.begun.wait(60)
        for gone in ("first", "second"):  # one whose work runs, one whose work waits
            with httpx.stream("GET", f"{page.address}gradio_api/queue/data?session_hash={gone}", timeout=60) as answers:
                next(answers.iter_lines())
        wait_for(lambda: len(queue) == 1)
    finally:
        busy.release.set()
    assert "There is no example 'third'" in busy.answer("third")
    assert busy.asked == ["first", "third"]


def test_answers_that_nobody_fetches_are_dropped(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Busy(page, monkeypatch)
    busy.release.set()
    queue = page.page._queue
    for visitor in ("gone", "late"):
        event = busy.ask(visitor)
        wait_for(lambda event=event: event not in queue.event_ids_to_events)
    leftovers = Leftovers(page.page)
    leftovers.sweep(0.0)
    leftovers.sweep(UNCLAIMED_SECONDS - 1)
    assert "There is no example 'late'" in busy.answer("late"), "there is time enough"
    leftovers.sweep(UNCLAIMED_SECONDS + 1)
    assert "gone" not in queue.pending_messages_per_session
    assert "gone" not in queue.pending_event_ids_session
    assert "Nothing is waiting here under this name." in busy.answer("gone")


def test_a_stream_whose_session_has_gone_ends_without_a_word(page: Served, caplog: pytest.LogCaptureFixture) -> None:
    """As of a session with two of them, when the browser has left one."""

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        raise RuntimeError("Caught handled exception, but response already started.") from HTTPException(404)

    sent: list[Any] = []

    async def ask() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        scope = {"type": "http", "method": "GET", "path": "/gradio_api/heartbeat/x", "query_string": b"", "headers": []}
        await Gate(gradio, page.page, page.gate)(scope, receive, send)

    in_a_loop(ask())
    assert [message.get("more_body", False) for message in sent] == [False, True, False]
    assert "failed" not in caplog.text


def test_a_session_holds_nothing_that_the_page_has_shown(page: Served) -> None:
    assert predict(page, GOOD)["clip"]
    sessions = list(page.page.state_holder.session_data.values())
    assert sessions
    assert not any(list(session.components) for session in sessions)


def test_weights_that_are_damaged_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is damaged without being broken is found by its hash, see test_self_check.py."""
    monkeypatch.setattr("app.logs.set_up", lambda level: None)  # this process has its own
    whole = (CHECKPOINTS / "sifa_net_tiny.safetensors").read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "head": b"\xff" * 8 + whole[8:], "empty": b""}.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        assert main(["app", "--model", str(path), "--port", str(free_port())]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert path.name in said
        assert said.count("\n") == 1


def test_a_port_that_is_taken_in_the_last_moment_is_one_sentence(page: Served) -> None:
    port = httpx.URL(page.address).port or 0
    with gr.Blocks() as another, pytest.raises(AddressError, match=f"^127.0.0.1:{port} cannot be served on; choose"):
        launch(another, Settings(port=port))


@pytest.mark.slow
def test_a_server_without_compiler_and_cache_serves_and_stops_during_an_upload(
    checkpoint: Path, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "SIFA_CACHE_DIR": "/proc/nowhere",  # nobody can write there, not even a superuser
        "CXX": str(tmp_path / "none"),
        "TMPDIR": str(tmp_path),
        "SIFA_STOP_SECONDS": "20",
    }
    port = str(free_port())
    command = [sys.executable, "-m", "sifa_core", "app", "--model", str(checkpoint), "--port", port]
    with (tmp_path / "log").open("w+") as log:
        server = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            address = next(re.findall(r"http\S+", line)[0] for line in server.stdout if "is ready at" in line)
            (folder,) = tmp_path.glob("sifa-explorer-*")
            with half_an_upload(address):
                wait_for(lambda: any(path.is_file() and path.stat().st_size for path in folder.iterdir()))
                server.terminate()
                assert server.wait(60) == 0
        finally:
            server.kill()
            server.wait()
        log.seek(0)
        said = log.read()
    assert re.search(r"operator: (?!cpu)\w+", said)
    assert "Traceback" not in said
    assert not folder.exists()
