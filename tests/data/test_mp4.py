"""The one writer of MP4 files: what comes out is a video of the pictures that went in, with any of its codecs."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sifa_core.data import mp4, read_clip


def pictures() -> NDArray[np.uint8]:
    """[8, 48, 64, 3]: each of one grey, 30 brighter than the one before."""
    return np.full((8, 48, 64, 3), 20, np.uint8) + np.arange(0, 240, 30, dtype=np.uint8)[:, None, None, None]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr(mp4, "CODECS", ("not there", codec))
    path = tmp_path / "a.mp4"
    mp4.write_mp4(path, iter(pictures()), 5)
    clip = read_clip(path, num_frames=8, stride=1)
    np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), pictures().mean((1, 2, 3)), atol=4)
    np.testing.assert_allclose(clip.timestamps, np.arange(8) / 5, atol=1e-6)


def test_an_open_file_and_metadata() -> None:
    buffer = io.BytesIO()
    mp4.write_mp4(buffer, pictures(), 5, {"title": "Greys"})
    buffer.seek(0)
    with av.open(buffer) as container:
        assert container.metadata["title"] == "Greys"
        assert sum(1 for _ in container.decode(video=0)) == 8


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        mp4.write_mp4(tmp_path / "missing" / "a.mp4", pictures(), 5)
