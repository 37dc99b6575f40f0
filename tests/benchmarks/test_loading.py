"""The loading benchmark measures every kind of video and finds the same frames both ways."""

from __future__ import annotations

from benchmarks import loading


def test_every_row_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "SIZES", {"small": (48, 64)})
    monkeypatch.setattr(loading, "WINDOWS", {"4 x 2": (4, 2)})
    rows = list(loading.decoding(tmp_path, seconds=2, repeats=1))
    assert [(row.size, row.keys, row.window) for row in rows] == [("small", keys, "4 x 2") for keys in loading.KEYS]
    assert all(row.whole > 0 and row.needed > 0 for row in rows)
    speeds = loading.clips_of_a_worker(tmp_path / "small-usual.mp4", repeats=1)
    assert len(speeds) == 3
    assert min(speeds.values()) > 0
