"""The launcher end to end on the host: real kernels, constants, grids and arguments.

Only the CUDA driver is replaced, by a library made from the same kernels, which unpacks the arguments as the driver
does.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import torch

from sifa_core.errors import ModelError
from sifa_core.ops import backends, cuda, dense, driver, reference, self_check
from sifa_core.ops.arguments import BackwardInputs, Settings
from sifa_core.ops.build import BuildError

MEAN = Settings(3, "mean")
EACH = ["sifa_forward", "sifa_backward", "sifa_gradient_of_memory"]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, build: Callable) -> list[str]:
    """Names of the kernels launched so far, with their constants."""
    names: list[str] = []

    def function(source: str, kernel: str, chosen: cuda.Constants, device: torch.device) -> ctypes.CDLL:
        names.append(kernel)
        return ctypes.CDLL(str(build("library", chosen)))

    monkeypatch.setattr(cuda, "_multiprocessors", lambda device: 100)

    def launch(
        library: ctypes.CDLL, kernel: str, device: torch.device, blocks: int, threads: int, arguments: Sequence
    ) -> None:
        values = [a if isinstance(a, ctypes.Structure) else driver._address(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        assert library.shim_launch(kernel.encode(), blocks, threads, pointers) == 0

    monkeypatch.setattr(cuda, "_function", function)
    monkeypatch.setattr(driver, "launch", launch)
    return names


def assert_right(problem: tuple[torch.Tensor, ...], settings: Settings, tolerance: float) -> None:
    query, memory, offset, grad, grad_weights = problem
    ours = cuda.attention(query, memory, offset, settings)
    exact = [t.double() for t in (query, memory, offset)]
    theirs = reference.attention(*exact, settings)
    stored = theirs[1].to(query.dtype)
    ours += cuda.attention_backward(BackwardInputs(grad, grad_weights, query, memory, offset, stored), settings)
    given = BackwardInputs(grad.double(), grad_weights.double(), *exact, stored.double())
    theirs += reference.attention_backward(given, settings)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (a.double() - b).abs().max() <= tolerance * b.abs().max()
    assert [t.dtype for t in ours] == [query.dtype] * 4 + [offset.dtype]


def test_one_launch_each_way(launched: list[str], make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    assert_right(make_problem((2, 20, 6, 5), settings, torch.float32), settings, 1e-5)
    assert launched == EACH


@pytest.mark.parametrize("channels", [72, 256])
def test_blocks_of_the_memory_gradient(launched: list[str], make_problem: Callable, channels: int) -> None:
    """Two channels a thread, then four: the launcher's grid is the kernel's."""
    assert_right(make_problem((1, channels, 3, 8), MEAN, torch.float32), MEAN, 1e-5)
    assert launched == EACH


def test_gradients_that_are_not_needed_are_not_computed(launched: list[str], make_problem: Callable) -> None:
    query, memory, offset, grad, grad_weights = make_problem((1, 16, 5, 4), MEAN, torch.float32)
    weights = cuda.attention(query, memory, offset, MEAN)[1]
    given = BackwardInputs(grad, None, query, memory, offset, weights)
    without = cuda.attention_backward(given, MEAN, (True, False, True))
    assert without[1] is None
    assert launched == ["sifa_forward", "sifa_backward"]
    zeros = cuda.attention_backward(given._replace(grad_weights=torch.zeros_like(grad_weights)), MEAN)
    for a, b in zip(without, zeros, strict=True):
        assert a is None or torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_features_with_32_bit_offsets(launched: list[str], make_problem: Callable, dtype: torch.dtype) -> None:
    settings = Settings(3, "mean")
    assert_right(make_problem((1, 64, 5, 4), settings, dtype), settings, 4 * torch.finfo(dtype).eps)
    assert launched == EACH


def test_slices_and_strides(launched: list[str], make_problem: Callable) -> None:
    """Frames t and t+1 of one clip overlap in memory; columns are strided; the gradient is expanded."""
    settings = Settings(3, "mean")
    query, _, offset, grad, grad_weights = make_problem((3, 16, 4, 6), settings, torch.float32)
    clip = torch.cat((query, query.flip(2)[:1])).contiguous(memory_format=torch.channels_last)
    assert_right((clip[:-1], clip[1:], offset, grad.mean().expand(grad.shape), grad_weights), settings, 1e-5)
    wide = query.repeat_interleave(2, dim=3)
    assert_right((wide[..., ::2], clip[1:], offset, grad, grad_weights), settings, 1e-5)
    assert len(launched) == 6


def test_misaligned_addresses_use_single_loads(launched: list[str], make_problem: Callable) -> None:
    settings = Settings(1, "none")
    query, memory, *others = make_problem((1, 8, 3, 3), settings, torch.float32)
    storage = torch.zeros(query.numel() + 1)[1:]
    shifted = storage.as_strided(query.shape, (72, 1, 24, 8)).copy_(query)
    assert shifted.data_ptr() % 16
    assert_right((shifted, memory, *others), settings, 1e-5)
    assert launched == EACH


@pytest.mark.parametrize(
    ("channels", "dtype", "alignment", "pairs", "vector", "lanes"),
    [
        (128, torch.float32, 16, 56, 4, 8),
        (128, torch.float32, 16, 1, 4, 32),
        (256, torch.bfloat16, 16, 56, 8, 16),
        (512, torch.float32, 16, 200, 4, 32),
        (128, torch.float32, 8, 56, 2, 8),
        (34, torch.float16, 16, 56, 2, 8),
        (33, torch.float16, 2, 56, 1, 8),
        (1024, torch.float32, 16, 56, 4, 32),
        (3, torch.float32, 16, 1, 1, 8),
    ],
)
def test_lanes_share_channels(
    channels: int, dtype: torch.dtype, alignment: int, pairs: int, vector: int, lanes: int
) -> None:
    chosen = cuda.constants(MEAN, dtype, dtype, (pairs, channels, 28, 28), alignment)
    assert (chosen.vector, chosen.lanes) == (vector, lanes)
    assert -(-channels // (chosen.vector * chosen.lanes)) * chosen.vector <= 32


def test_more_channels_than_registers_hold() -> None:
    with pytest.raises(BuildError, match="at most 1024 channels, not 1028"):
        cuda.constants(MEAN, torch.float32, torch.float32, (1, 1028, 3, 3))


def test_numbers_beyond_31_bits_take_wide_indices() -> None:
    shapes = {(1, 64, 2**15, 2**10): 1, (1, 64, 2**10, 2**10): 0}
    for shape, wide in shapes.items():
        assert cuda.constants(MEAN, torch.float32, torch.float32, shape).wide == wide


def test_self_check_accepts_these_kernels(launched: list[str]) -> None:
    assert self_check.check_backend(cuda, torch.device("cpu"), torch.float32) is None
    assert launched[:3] == EACH


def test_self_check_rejects_wrong_numbers(launched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    right = cuda.attention

    def slightly_wrong(*arguments: object) -> tuple[torch.Tensor, torch.Tensor]:
        aggregate, weights = right(*arguments)
        return aggregate * 1.01, weights

    monkeypatch.setattr(cuda, "attention", slightly_wrong)
    reason = self_check.check_backend(cuda, torch.device("cpu"), torch.float32)
    assert reason is not None
    assert "aggregate is off by" in reason


def test_self_check_turns_a_failed_build_into_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise BuildError("the NVRTC library was not found")

    monkeypatch.setattr(cuda, "attention", fail)
    assert self_check.check_backend(cuda, torch.device("cpu"), torch.float32) == "the NVRTC library was not found"


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Exception | str | None]:
    """What the next self-checks find, the first first; a device seems to be there and nothing is captured."""
    results: list[Exception | str | None] = []

    def check(*arguments: object) -> str | None:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(self_check, "check_backend", check)
    monkeypatch.setattr(backends, "_VERDICTS", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.delenv("SIFA_BACKEND", raising=False)
    return results


def test_a_lack_of_memory_is_raised_and_asked_again(verdicts: list) -> None:
    device = torch.device("cuda", 5)
    verdicts += [torch.OutOfMemoryError("no memory"), None]
    with pytest.raises(torch.OutOfMemoryError):
        backends.backend(device)
    assert backends.backend(device) == "cuda"
    assert not verdicts


def test_a_driver_s_failure_is_asked_again_and_wrong_numbers_are_not(verdicts: list) -> None:
    device = torch.device("cuda", 6)
    verdicts += [driver.DriverError("busy"), "aggregate is off by 1"]
    for words in ("busy", "off by 1"):
        with pytest.warns(RuntimeWarning, match=words):
            assert backends.backend(device) == "dense"
    assert backends.backend(device) == "dense"  # without another check
    assert not verdicts


def test_a_first_call_within_a_capture_condemns_nothing(verdicts: list, monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 8)
    verdicts.append(None)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.warns(RuntimeWarning, match="make one call before that"):
        assert backends.backend(device) == "dense"
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    assert backends.backend(device) == "cuda"


def test_a_shape_that_cannot_be_built_falls_back_with_one_notice(
    monkeypatch: pytest.MonkeyPatch, make_problem: Callable
) -> None:
    query, memory, offset, *_ = make_problem((1, 1028, 2, 2), MEAN, torch.float32)
    monkeypatch.setattr(cuda, "_multiprocessors", lambda device: 100)
    monkeypatch.delenv("SIFA_BACKEND", raising=False)
    with pytest.warns(RuntimeWarning, match="portable form for 1x1028x2x2 .* at most 1024 channels"):
        backends._CUDA.attention(query, memory, offset, MEAN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = backends._CUDA.attention(query, memory, offset, MEAN)
    for a, b in zip(results, dense.attention(query, memory, offset, MEAN), strict=True):
        assert torch.equal(a, b)
    monkeypatch.setenv("SIFA_BACKEND", "cuda")
    with pytest.raises(ModelError, match="cannot be used for 1x1028x2x2"):
        backends._CUDA.attention(query, memory, offset, MEAN)


def test_what_cannot_be_built_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[str] = []

    def fail(source: str, *arguments: object) -> bytes:
        attempts.append(source)
        raise BuildError("no such architecture")

    monkeypatch.setattr(cuda, "_FUNCTIONS", {})
    monkeypatch.setattr(cuda.nvrtc, "compile_kernels", fail)
    monkeypatch.setattr(cuda.nvrtc, "target", lambda capability: "sm_90")
    monkeypatch.setattr(driver, "capability", lambda device: 90)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    chosen = cuda.constants(MEAN, torch.float32, torch.float32, (1, 8, 3, 3))
    for _ in range(2):
        with pytest.raises(BuildError, match="no such architecture"):
            cuda._function("forward.cu", "sifa_forward", chosen, torch.device("cuda", 0))
    assert attempts == ["forward.cu"]


def test_self_check_is_on_its_device_whatever_the_default_is() -> None:
    with torch.device("meta"):
        assert self_check.check_backend(reference, torch.device("cpu"), torch.float32) is None


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
        driver._check(1, "sifa_forward", "cuLaunchKernel")
    with pytest.raises(torch.OutOfMemoryError, match="sifa_forward: cuModuleLoadData failed: out of memory"):
        driver._check(2, "sifa_forward", "cuModuleLoadData")


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
