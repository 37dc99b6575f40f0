"""The CPU library is made once, by whoever comes first, and its absence is said once.

The compiler here is a stand-in that hands out the library of this run and writes down every time it was called, so that
what is tested is who compiles and when; that the real one's library works is what all other tests of the back end show.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch

from sifa_core.errors import ModelError
from sifa_core.ops import backend, backends, build, cpu, sifa_attention
from tests import processes

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!/bin/sh
[ "$1" = --version ] && exec echo stand-in
echo >> {folder}/called.$$
while [ $(ls {folder} | grep -c called) -lt {together} ]; do sleep 0.02; done
for output; do :; done
cp {library} "$output"
"""


class Compiler:
    """A stand-in for c++, which waits until it was called `together` times."""

    def __init__(self, folder: Path, together: int = 1) -> None:
        self.folder, self.path = folder / "compiler", folder / "compiler" / "c++"
        self.folder.mkdir()
        library = build.load_library("cpu/library.cpp")._name
        self.path.write_text(STAND_IN.format(folder=self.folder, library=library, together=together))
        self.path.chmod(0o755)

    @property
    def calls(self) -> int:
        return len(list(self.folder.glob("called.*")))


def forget() -> None:
    """What a process knows of the library, as if it had just begun."""
    for known in (build.load_library, backends._why_not_cpu, backends._notice):
        known.cache_clear()


@pytest.fixture
def newborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has not asked for the library yet, nor has it been told which back end to use."""
    monkeypatch.delenv("SIFA_BACKEND", raising=False)
    forget()
    yield
    forget()


def use() -> float:
    """Sum of the weights that all back ends must give."""
    query, memory = torch.ones(2, 1, 4, 3, 3)
    for _ in range(2):
        _, weights = sifa_attention(query, memory, torch.zeros(1, 18, 3, 3))
    return float(weights.sum())


def use_and_tell() -> None:
    print(backend(), use())


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
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SIFA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_processes_racing_to_build_all_work_and_the_next_one_builds_nothing(tmp_path: Path) -> None:
    compiler, cache = Compiler(tmp_path, together=2), tmp_path / "new" / "cache"
    environment = {"SIFA_CACHE_DIR": str(cache), "CXX": str(compiler.path), "SIFA_BACKEND": ""}
    said = [tmp_path / name for name in ("one", "other", "next")]

    def start(output: Path) -> ForkServerProcess:
        return processes.start(use_and_tell, output=output, **environment)

    for process, output in [(start(output), output) for output in said[:2]]:
        assert processes.finish(process, output) == "cpu 49.0\n"
    (library,) = cache.iterdir()
    assert library.suffix == ".so"
    assert compiler.calls == 2
    written = library.stat().st_mtime_ns
    assert processes.finish(start(said[2]), said[2]) == "cpu 49.0\n"
    assert library.stat().st_mtime_ns == written
    assert compiler.calls == 2


@pytest.mark.usefixtures("newborn")
def test_a_machine_without_a_compiler_works_and_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIFA_CACHE_DIR", "PATH"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.warns(RuntimeWarning, match="because there is no C\\+\\+ compiler") as warned:
        assert use() == 49
    assert backend() == "dense"
    told = [str(each.message) for each in warned if each.category is RuntimeWarning]
    assert len(told) == 1
    assert told[0].startswith("The SIFA operator runs in its slower portable form on this machine")


@pytest.mark.usefixtures("newborn")
def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'disk on fire' >&2\nexit 3\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("SIFA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.warns(RuntimeWarning, match=r"could not compile library.cpp: disk on fire"):
        assert use() == 49
    assert backend() == "dense"
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("newborn")
def test_asking_for_cpu_by_name_without_a_compiler_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIFA_CACHE_DIR", tmp_path), ("CXX", tmp_path / "none"), ("SIFA_BACKEND", "cpu")):
        monkeypatch.setenv(name, str(value))
    with pytest.raises(ModelError) as raised:
        use()
    assert str(raised.value) == (
        f"SIFA_BACKEND=cpu cannot be used on this machine: the C++ compiler CXX={tmp_path / 'none'} was not found."
    )


def test_a_cache_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where the directory should be refuses everybody, the superuser included."""
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    compiler = Compiler(tmp_path)
    monkeypatch.setenv("SIFA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("CXX", str(compiler.path))
    monkeypatch.setattr(build.tempfile, "tempdir", str(tmp_path / "tmp"))
    library = build.load_library.__wrapped__("cpu/library.cpp")
    assert library.sifa_forward_float32 is not None
    assert compiler.calls == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_a_broken_cache_entry_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(tmp_path)
    monkeypatch.setenv("CXX", str(compiler.path))
    monkeypatch.setenv("SIFA_CACHE_DIR", str(tmp_path / "first"))
    build.load_library.__wrapped__("cpu/library.cpp")
    (whole,) = (tmp_path / "first").iterdir()
    broken = tmp_path / "second" / whole.name
    broken.parent.mkdir()
    broken.write_bytes(b"not a library")
    monkeypatch.setenv("SIFA_CACHE_DIR", str(broken.parent))
    assert build.load_library.__wrapped__("cpu/library.cpp").sifa_forward_float32 is not None
    assert compiler.calls == 2
    assert broken.read_bytes() == whole.read_bytes()


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
