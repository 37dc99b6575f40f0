"""The folder of uploads: private, swept, and gone in the end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from app.temporary import private_folder, sweep


def test_folder_is_told_to_gradio_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)  # of a page that another test has served
    with private_folder() as folder:
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "abc").mkdir()
        (folder / "abc" / "clip.mp4").write_bytes(b"x")
    assert not folder.exists()
    assert "GRADIO_TEMP_DIR" not in os.environ


def test_sweep_takes_what_is_old_and_leaves_what_is_new(tmp_path: Path) -> None:
    old, new, empty = tmp_path / "old" / "clip.mp4", tmp_path / "new" / "clip.mp4", tmp_path / "empty"
    for path in (old, new):
        path.parent.mkdir()
        path.write_bytes(b"x")
    empty.mkdir()
    past = time.time() - 1000
    for path in (old, empty):
        os.utime(path, (past, past))
    sweep(tmp_path, 600)
    assert not old.exists()
    assert not empty.exists()
    assert new.exists()
    os.utime(old.parent, (past, past))  # it changed when its file went
    sweep(tmp_path, 600)
    assert not old.parent.exists()


def test_sweep_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for path in (outside, folder):
        path.mkdir()
    (outside / "precious").write_bytes(b"x")
    (folder / "link").symlink_to(outside)
    past = time.time() - 1000
    os.utime(outside / "precious", (past, past))
    os.utime(folder / "link", (past, past), follow_symlinks=False)
    sweep(folder, 600)
    assert (outside / "precious").exists()
    assert not (folder / "link").is_symlink()
