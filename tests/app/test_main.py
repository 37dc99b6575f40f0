"""Starting the page: options, environment, and mistakes answered in one line."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.main import ROOT, check_port, make_importable
from sifa_core.cli import main
from sifa_core.commands import app
from sifa_core.errors import ConfigError
from tests.serving import free_port


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., argparse.Namespace]:
    """parse(*arguments, **environment): the options that the page would be served with."""

    def parse(*arguments: str, **environment: str) -> argparse.Namespace:
        served: list[argparse.Namespace] = []
        monkeypatch.setattr(app, "_serve", served.append)
        for name in ("SIFA_MODEL", "SIFA_DEVICE", "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
            monkeypatch.setenv(name, environment.get(name, ""))
        assert main(["app", *arguments]) == 0
        return served[0]

    return parse


Parse = Callable[..., argparse.Namespace]


def test_defaults(parse: Parse) -> None:
    options = parse()
    assert (options.model, options.host, options.port, options.device) == ("sifa_net_tiny", "127.0.0.1", 7860, "auto")


def test_environment_counts_and_options_win(parse: Parse) -> None:
    environment = {"SIFA_MODEL": "mine.pth", "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "8000"}
    options = parse(**environment)
    assert (options.model, options.host, options.port) == ("mine.pth", "0.0.0.0", 8000)
    options = parse("--model", "other", "--host", "::1", "--port", "9000", "--device", "cpu", **environment)
    assert (options.model, options.host, options.port, options.device) == ("other", "::1", 9000, "cpu")


def test_models_to_compare_with_add_up(parse: Parse) -> None:
    assert parse().compare is None  # SIFA_COMPARE then counts
    assert parse("--compare", "a.safetensors", "--compare", "sifa_net_tiny").compare == [
        "a.safetensors",
        "sifa_net_tiny",
    ]


@pytest.mark.parametrize("port", ["0", "x", "70000"])
def test_a_wrong_option_is_one_line(parse: Parse, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("--port", port)
    assert capsys.readouterr().err == (
        f"error: argument --port: {port!r} is no port; ports run from 1 to 65535; see sifa app --help\n"
    )


def test_the_root_replaces_the_app_folder_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "app"), "/elsewhere"])
    make_importable()
    assert sys.path == [str(ROOT), "/elsewhere"]


def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"^127.0.0.1:{port} is taken or not this machine's; choose another"):
            check_port("127.0.0.1", port)


@pytest.mark.slow
def test_a_bad_model_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    none = str(tmp_path / "none.safetensors")
    missing = run("app/main.py", "--model", none, GRADIO_SERVER_PORT=str(free_port()))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.splitlines()[-1] == "error: There is no checkpoint file none.safetensors."
    unknown = run("-m", "app.main", SIFA_MODEL="resnet", SIFA_LOG="warning", GRADIO_SERVER_PORT=str(free_port()))
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error: There is no model named 'resnet'; choose one of ")
    assert unknown.stderr.count("\n") == 1
    monkeypatch.setattr("app.logs.set_up", lambda level: None)  # this process has its own
    port = ["--port", str(free_port())]
    assert main(["app", "--compare", none, *port]) == 2
    assert capsys.readouterr().err == "error: There is no checkpoint file none.safetensors.\n"
    assert main(["app", "--device", "tpu", *port]) == 2
    assert capsys.readouterr().err.startswith("error: There is no device 'tpu';")
    monkeypatch.setenv("SIFA_QUEU", "3")
    assert main(["app", *port]) == 2
    assert capsys.readouterr().err.startswith("error: There is no setting SIFA_QUEU; there are SIFA_ADDRESS_QUEUE, ")
