"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from sifa_core.files import replacing, write_atomically


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def stopped_midway() -> None:
        with replacing(path) as draft:
            assert (draft.parent, draft.suffix) == (tmp_path, ".bin")
            draft.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_midway()
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])
    with replacing(path) as draft:
        draft.write_bytes(b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"new", [path])


def test_everybody_may_read_it_and_folders_are_made_on_request(tmp_path: Path) -> None:
    path = tmp_path / "new" / "entry"
    with pytest.raises(FileNotFoundError):
        write_atomically(path, b"1")
    write_atomically(path, b"1", parents=True)
    assert path.stat().st_mode & 0o777 == 0o644
