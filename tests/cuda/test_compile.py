"""The GPU kernels through the real compilers, NVRTC and nvcc, without a GPU."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import kernel_report
from sifa_core.ops import build, cuda, nvrtc
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import BuildError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIFA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _needs_nvrtc(request: pytest.FixtureRequest) -> None:
    if "nvcc" in request.node.name:
        return
    try:
        nvrtc.version()
    except BuildError as error:
        pytest.skip(str(error))


CONSTANTS = cuda.constants(Settings(3, "mean"), torch.float32, torch.float32, (56, 128, 28, 28))
KERNELS = ("sifa_forward", "sifa_backward", "sifa_gradient_of_memory")


@pytest.mark.parametrize("dtype", list(cuda.STORAGE))
def test_nvrtc_makes_binaries_for_many_shapes(cache: Path, dtype: torch.dtype) -> None:
    shapes = [(128, 3, "mean"), (512, 3, "softmax"), (1024, 1, "none"), (33, 9, "mean")]
    made = 0
    for channels, kernel_size, scale in shapes:
        chosen = cuda.constants(Settings(kernel_size, scale), dtype, dtype, (4, channels, 14, 14))
        for source in kernel_report.SOURCES:
            binary = nvrtc.compile_kernels(source, chosen.options(), nvrtc.target(90))
            assert binary[:4] == b"\x7fELF"
            assert (
                b"sifa_gradient_of_memory" if source == "memory.cu" else f"sifa_{Path(source).stem}".encode()
            ) in binary
            made += 1
    assert len(list(cache.iterdir())) == made


@pytest.mark.slow
def test_nvrtc_makes_binaries_for_every_architecture(cache: Path) -> None:
    for architecture, source in itertools.product(nvrtc.architectures(), kernel_report.SOURCES):
        if architecture >= 75:
            binary = nvrtc.compile_kernels(source, CONSTANTS.options(), f"sm_{architecture}")
            assert binary[:4] == b"\x7fELF"


def test_nvrtc_makes_ptx_for_devices_newer_than_itself(cache: Path) -> None:
    newest = nvrtc.architectures()[-1]
    target = nvrtc.target(newest + 9)
    assert target == f"compute_{newest}"
    text = nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), target)
    assert b".visible .entry sifa_forward" in text
    assert nvrtc.target(newest) == f"sm_{newest}"
    with pytest.raises(BuildError, match="and newer, not 20"):
        nvrtc.target(20)


def test_nvrtc_tensor_cores_from_ampere_on(cache: Path) -> None:
    chosen = CONSTANTS._replace(storage=2, offset=2, vector=8)
    listing = {
        number: nvrtc.compile_kernels("forward.cu", chosen.options(), f"compute_{number}") for number in (75, 80)
    }
    assert b"mma.sync.aligned.m16n8k16.row.col.f32.bf16" in listing[80]
    assert b"mma.sync" not in listing[75]


@pytest.mark.parametrize("dtype", list(cuda.STORAGE))
def test_nvrtc_largest_tiles_fit_shared_memory(cache: Path, dtype: torch.dtype) -> None:
    for channels in (33, 64, 128, 256, 1024):
        chosen = cuda.constants(Settings(3, "mean"), dtype, dtype, (56, channels, 28, 28))
        for rows in (chosen.rows, 7):
            options = chosen._replace(rows=rows).options()
            assert nvrtc.compile_kernels("memory.cu", options, "sm_90")[:4] == b"\x7fELF"


def test_nvrtc_nothing_is_added_atomically(cache: Path) -> None:
    for source in kernel_report.SOURCES:
        listing = nvrtc.compile_kernels(source, CONSTANTS.options(), "compute_90")
        assert b"red.global" not in listing
        assert b"atom." not in listing


def test_nvrtc_cache_is_used_and_keyed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80")
    (entry,) = cache.iterdir()
    entry.write_bytes(hashlib.sha256(b"from the cache").digest() + b"from the cache")
    assert nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80") == b"from the cache"
    assert nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_90") != b"from the cache"
    softmax = CONSTANTS._replace(softmax=1)
    nvrtc.compile_kernels("forward.cu", softmax.options(), "sm_80")
    monkeypatch.setattr(nvrtc, "version", lambda: "99.9")
    assert nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80")[:4] == b"\x7fELF"
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: content[:99] + b"?" + content[100:]])
def test_nvrtc_damaged_cache_entry_is_compiled_anew(cache: Path, damage: Callable[[bytes], bytes]) -> None:
    binary = nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80")
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    assert nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80") == binary
    assert entry.read_bytes() == whole


def test_nvrtc_works_with_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIFA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80")[:4] == b"\x7fELF"


def test_nvrtc_errors_name_the_kernel_and_quote_the_log(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpu").mkdir()
    for path in (build.KERNELS / "gpu").iterdir():
        (tmp_path / "gpu" / path.name).write_text(path.read_text().replace("__syncwarp();", "synchronise();"))
    monkeypatch.setattr(nvrtc, "KERNELS", tmp_path)
    with pytest.raises(BuildError, match=r'(?s)could not compile forward.cu with .*"synchronise" is undefined'):
        nvrtc.compile_kernels("forward.cu", CONSTANTS.options(), "sm_80")
    assert not cache.exists() or not list(cache.iterdir())


def test_nvrtc_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "_candidates", lambda: iter(()))
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    nvrtc._library.cache_clear()
    try:
        with pytest.raises(BuildError, match="the NVRTC library was not found"):
            nvrtc._library()
    finally:
        nvrtc._library.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "dtype"), [(128, torch.float32), (512, torch.float16)])
def test_nvcc_on_every_architecture_in_registers(channels: int, dtype: torch.dtype) -> None:
    nvcc = kernel_report.find_nvcc()
    if nvcc is None:
        pytest.skip("nvcc is not on PATH")
    chosen = cuda.constants(Settings(3, "mean"), dtype, dtype, (56, channels, 14, 14))
    targets = kernel_report.architectures(nvcc)
    rows = kernel_report.report(nvcc, chosen, targets)
    everything = itertools.product(KERNELS, targets)
    assert sorted((row.kernel, row.architecture) for row in rows) == sorted(everything)
    for row in rows:
        assert row.spills == 0, row
        assert row.stack == 0, row
        assert row.registers <= 255, row
        assert row.shared <= 48 * 1024, row


def test_nvcc_log_is_read_right() -> None:
    log = """
ptxas info    : Compiling entry function 'sifa_forward' for 'sm_90'
ptxas info    : Function properties for sifa_forward
    192 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 72 registers, used 0 barriers, 144 bytes smem
"""
    assert kernel_report.parse(log) == [kernel_report.Row("sifa_forward", 90, 72, 144, 192, 12)]
