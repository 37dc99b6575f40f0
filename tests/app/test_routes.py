"""What the served page takes and what it refuses: every route, wrong calls by the hundred, headers, uploads."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.gate.allowed import ROUTES, Body
from app.gate.gate import SENTENCES
from app.service import Service
from app.settings import Settings
from benchmarks.smoke import smoke
from sifa_core.models import VideoModel
from sifa_core.paths import EXAMPLE_CLIPS
from tests.app.malformed import SEED, calls
from tests.serving import Served, served

CLIP = EXAMPLE_CLIPS / "earth_rotates.mp4"


@pytest.fixture(scope="module")
def page(model: VideoModel) -> Iterator[Served]:
    with served(Service(model), Settings(address_queue=10_000, queue=10_000, upload_mb=2)) as page:
        yield page


@pytest.fixture(scope="module")
def client(page: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.address, timeout=20) as client:
        yield client


def function(page: Served, name: str) -> int:
    return next(number for number, one in page.page.fns.items() if one.api_name == name)


def upload(client: httpx.Client, content: bytes = b"words", name: str = "clip.mp4") -> httpx.Response:
    return client.post("gradio_api/upload", files={"files": (name, content)})


def test_hundreds_of_wrong_calls_are_answered_in_one_sentence(
    page: Served, client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = dict.fromkeys(ROUTES, 0)
    for call in calls(page.page, 300, random.Random(SEED)):
        with client.stream(call.method, call.path, content=call.body, headers=call.headers) as response:
            assert response.status_code < 500, call
            if call.route is not None:
                asked[call.route] += 1
            if response.status_code >= 400:
                text = response.read().decode()
                answer = json.loads(text) if call.method != "HEAD" else {"detail": "."}
                assert answer["detail"].endswith("."), (call, text)
                for secret in ("Traceback", str(page.folder), "/site-packages/", "pydantic"):
                    assert secret not in text, call
    assert min(asked.values()) >= 2
    assert "Traceback" not in capfd.readouterr().err
    assert client.get("healthz").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "process_recording"),
        ("GET", "proxy=http://127.0.0.1/"),
        ("GET", "file=/etc/passwd"),
        ("GET", "file=http://127.0.0.1/"),
        ("GET", "file/etc/passwd"),
        ("POST", "stream/x"),
        ("GET", "runs"),
        ("GET", "deep_link"),
        ("GET", "openapi.json"),
        ("POST", "vibe-edit"),
        ("GET", "dev/reload"),
        ("GET", "token"),
        ("GET", "queue/status"),
        ("POST", "api/predict"),
        ("POST", "component_server"),
        ("POST", "run/predict"),
    ],
)
def test_what_the_page_does_not_need_is_not_there(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, f"gradio_api/{path}", content=b"{}")
    assert (response.status_code, response.json()["detail"]) == (404, SENTENCES[404])


def test_monitoring_and_login_are_not_there(client: httpx.Client) -> None:
    assert {client.get(path).status_code for path in ("monitoring", "monitoring/summary", "login", "docs")} == {404}


def test_only_the_method_of_a_route_is_taken(client: httpx.Client) -> None:
    response = client.get("gradio_api/upload")
    assert (response.status_code, response.json()["detail"]) == (405, "This address takes POST only.")


def test_json_is_bounded_before_it_is_read(page: Served, client: httpx.Client) -> None:
    large = json.dumps({"data": ["x" * 1_000_000]}).encode()
    headers = {"content-type": "application/json"}
    assert client.post("gradio_api/queue/join", content=large, headers=headers).status_code == 413
    chunks = client.post("gradio_api/queue/join", content=iter([large[:600_000], large[600_000:]]), headers=headers)
    assert chunks.status_code == 413
    # Only told of, never sent: the answer does not wait for it.
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=10) as line:
        line.sendall(
            b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 90000000\r\n\r\n{"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[" * 5000 + b"]" * 5000, "The request's body is not"),
        (b'{"data": ' + b"[" * 40 + b"]" * 40 + b"}", "nested more than 16 deep"),
        (b'{"data": NaN}', "is not JSON"),
        (b'{"data": 1e999}', "beyond 2 to the power of 53"),
        (b'{"data": 123456789012345678901234567890}', "beyond 2 to the power of 53"),
        (b'{"data": "\\ud800"}', "lone surrogate"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"fn_index": true}', "fn_index is a whole number"),
        (b'{"fn_index": 9999}', "The page has no such function"),
    ],
)
def test_json_of_another_form_is_refused(client: httpx.Client, body: bytes, sentence: str) -> None:
    response = client.post("gradio_api/queue/join", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 404)
    assert sentence in response.json()["detail"]


FILES: list[Any] = [
    {"path": "http://127.0.0.1/x", "meta": {"_type": "gradio.FileData"}},
    {"path": "/etc/passwd", "url": "http://127.0.0.1/x", "meta": {"_type": "gradio.FileData"}},
    {"a": [{"path": "x", "meta": {"_type": "gradio.FileData"}}]},
]


@pytest.mark.parametrize("file", FILES)
def test_no_component_takes_files_but_those_for_files(page: Served, client: httpx.Client, file: Any) -> None:
    tried = 0
    for number, one in page.page.fns.items():
        for index, component in enumerate(one.inputs):
            if type(component).__name__ in ("State", "File"):
                continue
            data: list[Any] = [None] * len(one.inputs)
            data[index] = file
            body = {"data": data, "fn_index": number, "session_hash": "files"}
            assert client.post("gradio_api/queue/join", json=body).status_code == 400
            tried += 1
    assert tried > 20


def test_an_upload_tells_no_path_and_is_found_again(page: Served, client: httpx.Client) -> None:
    (name,) = upload(client, b"just words", "notes.mp4").json()
    assert (page.folder / name).read_bytes() == b"just words"
    assert not name.startswith("/")
    assert client.get(f"gradio_api/file={name}").status_code == 404
    body = {"data": [{"path": name, "meta": {"_type": "gradio.FileData"}}], "session_hash": "found"}
    client.post("gradio_api/call/predict", json=body)
    answer = client.get("gradio_api/queue/data?session_hash=found").text
    assert "notes.mp4 is not a video" in answer
    assert str(page.folder) not in answer


def test_an_upload_is_one_file(page: Served, client: httpx.Client) -> None:
    two = client.post("gradio_api/upload", files=[("files", ("a", b"1")), ("files", ("b", b"2"))])
    assert (two.status_code, two.json()["detail"]) == (400, "An upload holds one file.")
    assert client.post("gradio_api/upload", data={"files": "x"}).status_code == 415
    other = client.post("gradio_api/upload", files={"other": ("a", b"1")})
    assert (other.status_code, other.json()["detail"]) == (400, 'An upload is one file in the field "files".')
    large = upload(client, b"x" * 2_100_000)
    assert (large.status_code, large.json()["detail"]) == (
        413,
        "The file has more than the 2 MB that this server takes.",
    )
    assert not [path for path in page.folder.rglob("*") if path.is_file() and path.stat().st_size > 2_000_000]


@pytest.mark.parametrize("name", ["..", "a/../../b", "\x00", "x" * 3000, "‮gnp.mp4", '"><script>', "a\\b", ""])
def test_odd_names_of_uploads_stay_in_the_folder(page: Served, client: httpx.Client, name: str) -> None:
    outside = set(page.folder.parent.iterdir())
    response = upload(client, b"odd", name)
    assert response.status_code in (200, 400)
    assert set(page.folder.parent.iterdir()) - outside == set()


def test_names_with_marks_are_text_in_the_answer(page: Served, client: httpx.Client) -> None:
    """Signs of code are dropped from a file's name; what turns the direction of writing is shown as unreadable."""
    named = "a ${1+1} ‮&.mp4"
    (name,) = upload(client, CLIP.read_bytes(), named).json()
    body = {"data": [{"path": name}, "", 1], "session_hash": "marks"}
    client.post("gradio_api/call/predict", json=body)
    events = client.get("gradio_api/queue/data?session_hash=marks").text.splitlines()
    (done,) = (json.loads(line[6:]) for line in events if '"process_completed"' in line)
    assert done["success"]
    assert done["output"]["data"][0]["clip"]["name"] == "a 1+1 \ufffd&.mp4"


@pytest.mark.parametrize("path", ["", "config", "theme.css", "healthz", "nothing", "gradio_api/info"])
def test_every_answer_has_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize("header", [{"host": "a b"}, {"x-forwarded-host": "\x7f"}, {"origin": "http://["}])
def test_odd_headers_are_no_error_of_the_server(client: httpx.Client, header: dict[str, str]) -> None:
    assert client.get("config", headers=header).status_code < 500


def test_old_calls_with_fewer_values_are_filled_up(client: httpx.Client) -> None:
    for name, value in (("predict", {"data": [None]}), ("v2/predict", {})):
        event = client.post(f"gradio_api/call/{name}", json=value).json()["event_id"]
        answer = client.get(f"gradio_api/call/predict/{event}").text
        assert "Give either a clip or the name of an example." in answer


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"example": ["x"]}, "example=['x'] is not possible; it is a text"),
        ({"example": "earth_rotates", "top": "many"}, "top='many' is not possible"),
        ({"example": "earth_rotates", "frame": "0", "x": 1, "y": 1}, "frame='0' is not possible"),
        ({"example": "earth_rotates", "layer": {"a": 1}}, "layer={'a': 1} is not possible; it is a text"),
        ({"example": "earth_rotates", "levels": 1.5}, "levels=1.5 is not possible; it is a whole number or null"),
        ({"example": "earth_rotates", "x": True, "y": 1}, "x=True is not possible; it is a number or null"),
        ({"example": "<script>alert(1)</script>"}, "There is no example"),
    ],
)
def test_named_functions_say_in_words_what_they_cannot_take(client: httpx.Client, value: dict, sentence: str) -> None:
    name = "predict" if "top" in value else "explain"
    event = client.post(f"gradio_api/call/v2/{name}", json=value).json()["event_id"]
    answer = client.get(f"gradio_api/call/{name}/{event}").text
    assert sentence in answer
    assert "event: error" in answer


def test_there_is_a_kind_of_body_for_every_route_that_takes_one() -> None:
    assert {route.body for route in ROUTES if route.method == "POST"} == set(Body) - {Body.NONE}


def test_the_smoke_test_tells_a_page_from_anything_else(page: Served) -> None:
    said: list[str] = []
    assert smoke(page.address, said.append)
    assert said == ["health: fine", "page: fine", "routes: fine", "an example: fine"]
    assert not smoke(f"{page.address}nothing", said.append)
    assert not smoke("http://127.0.0.1:1", lambda line: None)
