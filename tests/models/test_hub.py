"""A model's way to the Hub and back, through the real client and a small hub on this machine."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import HfApi, constants

from sifa_core.errors import CheckpointError, ExportError
from sifa_core.models import create_model, load_model, push_to_hub

COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's protocol as creating a repository, one commit and downloads take."""

    files: dict[str, dict[str, bytes]]
    messages: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        repository = "/".join(self.path.split("/")[3:5])
        if self.path == "/api/repos/create":
            content = json.loads(body)
            name = f"{content.get('organization') or 'someone'}/{content['name']}"
            if name.startswith("forbidden/"):
                return self.answer(b'{"error": "no"}', 403)
            self.files.setdefault(name, {})
            return self.answer({"url": f"http://{self.headers['Host']}/{name}", "id": name, "name": name})
        if "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            return self.answer({"files": modes})
        if self.path == "/api/validate-yaml":
            return self.answer({"warnings": [], "errors": []})
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "header":
                self.messages.append(entry["value"]["summary"])
            elif entry["key"] == "file":
                self.files[repository][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        return self.answer(
            {
                "commitUrl": f"http://{self.headers['Host']}/{repository}/commit/{COMMIT}",
                "commitOid": COMMIT,
                "success": True,
            }
        )

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
        content = self.files.get(found[1], {}).get(found[2]) if found else None
        if content is None:
            return self.answer(b"", 404, {"X-Error-Code": "RepoNotFound"})
        etag = hashlib.sha256(content).hexdigest()
        return self.answer(content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def answer(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[type[Hub]]:
    handler = type("OneHub", (Hub,), {"files": {}, "messages": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(constants, name, value)
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", width=8, num_classes=3, kernel_size=5)
    return model.eval()


def test_there_and_back(hub, model):
    address = push_to_hub(model, "someone/sifa", facts={"top1": 0.5}, license="mit", token="hf_x", message="First")
    assert address.endswith("/someone/sifa")
    assert hub.messages == ["First"]
    assert set(hub.files["someone/sifa"]) == {"model.safetensors", "config.json", "labels.json", "README.md"}
    loaded = load_model("hf://someone/sifa")
    assert (loaded.info.status, loaded.info.facts) == ("own", {"top1": 0.5})
    assert loaded.config == model.config
    assert loaded.info.labels == model.info.labels
    video = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(video), model(video))


def test_what_people_read(hub, model):
    push_to_hub(model, "someone/sifa", facts={"top1": 0.5}, license="mit", token="hf_x")
    files = {name: content.decode() for name, content in hub.files["someone/sifa"].items() if name[-1] in "nd"}
    assert json.loads(files["config.json"])["switches"]["kernel_size"] == 5
    assert json.loads(files["labels.json"]) == ["class 0", "class 1", "class 2"]
    _, front, card = files["README.md"].split("---\n", 2)
    assert "pipeline_tag: video-classification" in front
    assert "license: mit" in front
    assert 'sifa.load_model("hf://someone/sifa")' in card
    assert "| kernel_size | 5 |" in card
    assert "| top1 | 0.5 |" in card
    assert "3 classes: class 0, class 1, class 2" in card


def test_failures_are_one_sentence(hub, model):
    with pytest.raises(ExportError, match=r"some one/sifa is no repository name; write user/repo\.$"):
        push_to_hub(model, "some one/sifa", token="hf_x")
    with pytest.raises(ExportError, match=r"^hf://forbidden/sifa cannot be written: [^\n]+$"):
        push_to_hub(model, "forbidden/sifa", token="hf_x")
    with pytest.raises(CheckpointError, match=r"^hf://someone/gone cannot be downloaded: [^\n]+$"):
        load_model("hf://someone/gone")
    assert hub.files == {}


def test_an_error_without_words_is_called_by_its_type(model, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(HfApi, "create_repo", fail)
    with pytest.raises(ExportError, match=r"^hf://someone/sifa cannot be written: OSError$"):
        push_to_hub(model, "someone/sifa", token="hf_x")


def test_without_a_connection(model, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ExportError, match=r"^hf://someone/sifa cannot be written: [^\n]+$"):
        push_to_hub(model, "someone/sifa", token="hf_x")
