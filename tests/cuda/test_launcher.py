"""The launcher end to end on the host: real kernels, constants, grids and arguments.

Only the CUDA driver is replaced, by a library made from the same kernels, which unpacks the arguments as the driver
does.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest
import torch

from sifa_core.errors import ModelError
from sifa_core.ops import backends, cuda, driver, reference, self_check
from sifa_core.ops.arguments import Settings
from sifa_core.ops.build import BuildError


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, build: Callable) -> list[str]:
    """Names of the kernels launched so far, with their constants."""
    names: list[str] = []

    def function(source: str, kernel: str, chosen: cuda.Constants, device: torch.device) -> ctypes.CDLL:
        names.append(kernel)
        return ctypes.CDLL(str(build("library", chosen)))

    def launch(
        library: ctypes.CDLL, kernel: str, device: torch.device, blocks: int, threads: int, arguments: Sequence
    ) -> None:
        values = [ctypes.c_void_p(a.data_ptr()) if isinstance(a, torch.Tensor) else a for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        assert library.shim_launch(kernel.encode(), blocks, threads, pointers) == 0

    monkeypatch.setattr(cuda, "_function", function)
    monkeypatch.setattr(driver, "launch", launch)
    return names


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def assert_right(problem: tuple[torch.Tensor, ...], settings: Settings, tolerance: float) -> None:
    query, memory, offset, grad, grad_weights = problem
    ours = cuda.attention(query, memory, offset, settings)
    exact = [t.double() for t in (query, memory, offset)]
    theirs = reference.attention(*exact, settings)
    stored = theirs[1].to(query.dtype)
    ours += cuda.attention_backward(grad, grad_weights, query, memory, offset, stored, settings)
    theirs += reference.attention_backward(grad.double(), grad_weights.double(), *exact, stored.double(), settings)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (a.double() - b).abs().max() <= tolerance * b.abs().max()
    assert [t.dtype for t in ours] == [query.dtype] * 4 + [offset.dtype]


def test_one_launch_each_way(launched: list[str], make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    assert_right(make_problem((2, 20, 6, 5), settings, torch.float32), settings, 1e-5)
    assert launched == ["sifa_forward", "sifa_backward"]


@pytest.mark.usefixtures("deterministic")
def test_fixed_order_under_deterministic_algorithms(launched: list[str], make_problem: Callable) -> None:
    settings = Settings(3, "softmax")
    assert_right(make_problem((3, 72, 4, 3), settings, torch.float32), settings, 1e-5)
    assert launched == ["sifa_forward", "sifa_backward", "sifa_scatter"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_features_with_32_bit_offsets(launched: list[str], make_problem: Callable, dtype: torch.dtype) -> None:
    settings = Settings(3, "mean")
    assert_right(make_problem((1, 64, 5, 4), settings, dtype), settings, 4 * torch.finfo(dtype).eps)
    assert launched == ["sifa_forward", "sifa_backward"]


def test_slices_and_strides(launched: list[str], make_problem: Callable) -> None:
    """Frames t and t+1 of one clip overlap in memory; columns are strided; the gradient is expanded."""
    settings = Settings(3, "mean")
    query, _, offset, grad, grad_weights = make_problem((3, 16, 4, 6), settings, torch.float32)
    clip = torch.cat((query, query.flip(2)[:1])).contiguous(memory_format=torch.channels_last)
    assert_right((clip[:-1], clip[1:], offset, grad.mean().expand(grad.shape), grad_weights), settings, 1e-5)
    wide = query.repeat_interleave(2, dim=3)
    assert_right((wide[..., ::2], clip[1:], offset, grad, grad_weights), settings, 1e-5)
    assert len(launched) == 4


def test_misaligned_addresses_use_single_loads(launched: list[str], make_problem: Callable) -> None:
    settings = Settings(1, "none")
    query, memory, *others = make_problem((1, 8, 3, 3), settings, torch.float32)
    storage = torch.zeros(query.numel() + 1)[1:]
    shifted = storage.as_strided(query.shape, (72, 1, 24, 8)).copy_(query)
    assert shifted.data_ptr() % 16
    assert_right((shifted, memory, *others), settings, 1e-5)
    assert launched == ["sifa_forward", "sifa_backward"]


@pytest.mark.parametrize(
    ("channels", "dtype", "expected"),
    [
        (128, torch.float32, (4, 32, 1)),
        (512, torch.float32, (4, 32, 4)),
        (128, torch.float16, (8, 16, 1)),
        (32, torch.float32, (4, 8, 1)),
        (3, torch.float32, (1, 8, 1)),
        (2048, torch.float32, (4, 32, 16)),
        (1028, torch.float32, (4, 32, 12)),
    ],
)
def test_threads_share_channels(channels: int, dtype: torch.dtype, expected: tuple[int, int, int]) -> None:
    chosen = cuda.constants(Settings(3, "mean"), dtype, channels, True, False)
    assert (chosen.vector, chosen.lanes, chosen.chunks) == expected
    assert chosen.vector * chosen.lanes * chosen.chunks >= channels


def test_self_check_accepts_these_kernels(launched: list[str]) -> None:
    assert self_check.why_wrong(cuda, torch.device("cpu"), torch.float32) is None
    assert launched[:2] == ["sifa_forward", "sifa_backward"]


def test_self_check_rejects_wrong_numbers(launched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    right = cuda.attention

    def slightly_wrong(*arguments: object) -> tuple[torch.Tensor, torch.Tensor]:
        aggregate, weights = right(*arguments)
        return aggregate * 1.01, weights

    monkeypatch.setattr(cuda, "attention", slightly_wrong)
    reason = self_check.why_wrong(cuda, torch.device("cpu"), torch.float32)
    assert reason is not None
    assert "aggregate is off by" in reason


@pytest.mark.parametrize("error", [BuildError("the NVRTC library was not found"), driver.DriverError("no driver")])
def test_self_check_turns_failures_into_reasons(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(cuda, "attention", fail)
    assert self_check.why_wrong(cuda, torch.device("cpu"), torch.float32) == str(error)


def test_self_check_is_on_its_device_whatever_the_default_is() -> None:
    with torch.device("meta"):
        assert self_check.why_wrong(reference, torch.device("cpu"), torch.float32) is None


def test_a_device_without_a_number_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.delenv("SIFA_BACKEND", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(backends, "_why_not_cuda", lambda device, *_: asked.append(device))
    assert backends.backend("cuda") == "cuda"
    assert asked == [torch.device("cuda", 3)]


def test_a_device_that_fails_its_check_gets_the_portable_form_and_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 7)
    monkeypatch.delenv("SIFA_BACKEND", raising=False)
    monkeypatch.setattr(backends, "_why_not_cuda", lambda *_: "aggregate is off by 1")
    with pytest.warns(RuntimeWarning, match="portable form on cuda:7, because aggregate is off by 1"):
        assert backends.backend(device) == "dense"
    monkeypatch.setattr(backends, "_why_not_cuda", lambda *_: None)
    assert backends.backend(device) == "cuda"
    assert backends.backend(device, torch.float64) == "dense"


def test_driver_errors_name_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        @staticmethod
        def cuGetErrorString(code: int, words: object) -> int:
            words._obj.value = b"out of memory"
            return 0

    monkeypatch.setattr(driver, "_library", Library)
    with pytest.raises(driver.DriverError, match="sifa_forward: cuLaunchKernel failed: out of memory"):
        driver._check(2, "sifa_forward", "cuLaunchKernel")


class ThreadedDriver:
    """A driver that refuses, as the real one does, work from a thread without a current context."""

    def __init__(self) -> None:
        self.bound = threading.local()
        self.devices: list[int] = []

    def _result(self) -> int:
        return 0 if getattr(self.bound, "context", None) else 201

    def cuCtxGetCurrent(self, context: object) -> int:
        context._obj.value = getattr(self.bound, "context", None)
        return 0

    def cuDeviceGet(self, handle: object, ordinal: int) -> int:
        handle._obj.value = ordinal
        return 0

    def cuDevicePrimaryCtxRetain(self, context: object, handle: ctypes.c_int) -> int:
        self.devices.append(handle.value)
        context._obj.value = 77
        return 0

    def cuCtxSetCurrent(self, context: ctypes.c_void_p) -> int:
        self.bound.context = context.value
        return 0

    def cuModuleLoadData(self, module: object, binary: bytes) -> int:
        return self._result()

    def cuModuleGetFunction(self, function: object, module: object, name: bytes) -> int:
        function._obj.value = 5
        return self._result()

    def cuLaunchKernel(self, *arguments: object) -> int:
        return self._result()

    def cuGetErrorString(self, code: int, words: object) -> int:
        words._obj.value = b"invalid device context"
        return 0


def test_a_new_thread_gets_the_current_device_s_context_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stub, device, failures = ThreadedDriver(), torch.device("cuda", 3), []
    monkeypatch.setattr(driver, "_library", lambda: stub)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=0))

    def work(loads: bool) -> None:
        try:
            function = driver.load(b"", "sifa_forward", device) if loads else ctypes.c_void_p(5)
            for _ in range(2):
                driver.launch(function, "sifa_forward", device, 1, 128, [])
        except driver.DriverError as error:
            failures.append(str(error))

    for loads in (True, False):
        thread = threading.Thread(target=work, args=(loads,))
        thread.start()
        thread.join()
    assert failures == []
    assert stub.devices == [3, 3]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is about machines without a CUDA device")
def test_no_cuda_device_is_a_reason_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIFA_BACKEND", "cuda")
    with pytest.raises(ModelError, match="cannot be used on cuda: PyTorch sees no CUDA device"):
        backends.backend("cuda")
