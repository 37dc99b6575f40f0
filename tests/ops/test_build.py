"""The CPU library is made once, by whoever comes first, and its absence is said once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sifa_core.ops import backends, build, cpu

ROOT = Path(__file__).resolve().parents[2]
USE = """
import torch
from sifa_core.ops import backend, sifa_attention
query, memory = torch.ones(2, 1, 4, 3, 3)
for _ in range(2):
    aggregate, weights = sifa_attention(query, memory, torch.zeros(1, 18, 3, 3))
print(backend(), float(weights.sum()))
"""


def start(code: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    full = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    for name in [name for name, value in full.items() if value == ""]:
        del full[name]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=full,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run(code: str, environment: dict[str, str]) -> tuple[str, str]:
    process = start(code, {"SIFA_BACKEND": "", **environment})
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip(), err


def test_import_compiles_nothing_and_stays_light(tmp_path: Path) -> None:
    code = """
    import subprocess, sys
    def refuse(*args, **kwargs):
        raise AssertionError(f"importing ran {args}")
    subprocess.Popen.__init__ = refuse
    import sifa_core, sifa_core.ops
    heavy = {"gradio", "matplotlib", "captum", "accelerate", "torch._inductor", "cuda.bindings"}
    print(sorted(heavy & set(sys.modules)))
    """
    out, _ = run(code, {"SIFA_CACHE_DIR": str(tmp_path)})
    assert out == "[]"
    assert not list(tmp_path.iterdir())


def test_second_process_reuses_the_first_ones_library(tmp_path: Path) -> None:
    out, err = run(USE, {"SIFA_CACHE_DIR": str(tmp_path / "new")})
    assert out == "cpu 49.0"
    assert "RuntimeWarning" not in err
    (library,) = (tmp_path / "new").iterdir()
    written = library.stat().st_mtime_ns
    assert run(USE, {"SIFA_CACHE_DIR": str(tmp_path / "new")})[0] == "cpu 49.0"
    assert library.stat().st_mtime_ns == written


def test_a_machine_without_a_compiler_works_and_says_so_once(tmp_path: Path) -> None:
    out, err = run(USE, {"SIFA_CACHE_DIR": str(tmp_path), "PATH": str(tmp_path), "CXX": ""})
    assert out == "dense 49.0"
    assert err.count("RuntimeWarning: The SIFA operator runs in its slower portable form on this machine") == 1
    assert "because there is no C++ compiler" in err


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'disk on fire' >&2\nexit 3\n")
    compiler.chmod(0o755)
    out, err = run(USE, {"SIFA_CACHE_DIR": str(tmp_path / "cache"), "CXX": str(compiler)})
    assert out == "dense 49.0"
    assert "could not compile library.cpp: disk on fire" in err
    assert not (tmp_path / "cache").exists()


def test_asking_for_cpu_by_name_without_a_compiler_is_an_error(tmp_path: Path) -> None:
    code = """
    import torch
    from sifa_core.errors import ModelError
    from sifa_core.ops import sifa_attention
    try:
        sifa_attention(torch.ones(1, 4, 3, 3), torch.ones(1, 4, 3, 3), torch.zeros(1, 18, 3, 3))
    except ModelError as error:
        print(error)
    """
    environment = {"SIFA_CACHE_DIR": str(tmp_path), "CXX": str(tmp_path / "none"), "SIFA_BACKEND": "cpu"}
    out, _ = run(code, environment)
    assert (
        out
        == f"SIFA_BACKEND=cpu cannot be used on this machine: the C++ compiler CXX={tmp_path / 'none'} was not found."
    )


def test_a_cache_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file where the directory should be refuses everybody, the superuser included."""
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    out, err = run(USE, {"SIFA_CACHE_DIR": str(tmp_path / "file" / "cache"), "TMPDIR": str(tmp_path / "tmp")})
    assert out == "cpu 49.0"
    assert "RuntimeWarning" not in err
    assert not list((tmp_path / "tmp").iterdir())


def test_a_broken_cache_entry_is_replaced(tmp_path: Path) -> None:
    run(USE, {"SIFA_CACHE_DIR": str(tmp_path)})
    (library,) = tmp_path.iterdir()
    library.write_bytes(b"not a library")
    assert run(USE, {"SIFA_CACHE_DIR": str(tmp_path)})[0] == "cpu 49.0"
    assert library.stat().st_size > 1000


def test_without_a_home_the_cache_is_this_process_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SIFA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    directory = build.cache_directory()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory == build.cache_directory()


@pytest.mark.parametrize("error", [OSError("no usable temporary directory"), RuntimeError("no such place")])
def test_whatever_stops_the_build_is_a_reason(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cpu, "prepare", fail)
    assert backends._why_not_cpu.__wrapped__() == str(error)


@pytest.mark.slow
def test_processes_racing_to_build_all_work(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    processes = [start(USE, {"SIFA_CACHE_DIR": str(cache), "SIFA_BACKEND": ""}) for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert (process.returncode, out.strip()) == (0, "cpu 49.0"), err
    assert [path.suffix for path in cache.iterdir()] == [".so"]
