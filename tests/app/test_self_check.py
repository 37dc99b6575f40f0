"""What a server makes sure of before it serves."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from app.self_check import SelfCheckError, check
from sifa_core import SifaError, load_model
from sifa_core.models import VideoModel


@pytest.fixture
def model(checkpoint: Path) -> VideoModel:
    return load_model(checkpoint)


def test_weights_that_came_with_the_program_have_the_hash_they_should(tmp_path: Path) -> None:
    shipped = load_model("sifa_net_tiny")
    check(shipped, tmp_path)
    shipped.info = replace(shipped.info, sha256="0" * 64)
    with pytest.raises(SelfCheckError, match=r"^The weights sifa_net_tiny\.safetensors are damaged"):
        check(shipped, tmp_path)


def test_weights_that_give_no_numbers_are_refused(model: VideoModel, tmp_path: Path) -> None:
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(SifaError, match="not finite"):
        check(model, tmp_path)


def test_a_full_disk_is_told(model: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    with pytest.raises(SelfCheckError, match="There are 3 MB free for uploads; this server needs 500 MB."):
        check(model, tmp_path)
