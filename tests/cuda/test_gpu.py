"""The GPU back end on a GPU: parity, gradients, streams, graphs, devices. Runs only where there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from sifa_core.ops import backend, reference, sifa_attention
from sifa_core.ops.arguments import Settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
SETTINGS = [
    Settings(3, "mean"),
    Settings(3, "softmax"),
    Settings(1, "none"),
    Settings(5, "mean"),
    Settings(9, "mean"),
]


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIFA_BACKEND", "cuda")
    assert backend("cuda") == "cuda"


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def run(
    problem: tuple[torch.Tensor, ...], settings: Settings, device: torch.device | str = "cuda"
) -> list[torch.Tensor]:
    *inputs, grad, grad_weights = (t.to(device) for t in problem)
    inputs = [t.contiguous(memory_format=torch.channels_last).requires_grad_() for t in inputs]
    names = vars(settings)
    outputs = sifa_attention(*inputs, **names)
    return [*outputs, *torch.autograd.grad(outputs, inputs, (grad, grad_weights))]


def assert_right(results: list[torch.Tensor], problem: tuple[torch.Tensor, ...], settings: Settings) -> None:
    query, memory, offset, grad, grad_weights = problem
    exact = [t.double() for t in (query, memory, offset)]
    expected = reference.attention(*exact, settings)
    stored = expected[1].to(query.dtype).double()
    expected += reference.attention_backward(grad.double(), grad_weights.double(), *exact, stored, settings)
    for a, b in zip(results, expected, strict=True):
        assert (a.cpu().double() - b).abs().max() <= TOLERANCE[query.dtype] * b.abs().max()


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("channels", [2, 34, 64, 128, 512, 1028, 2048])
def test_equals_reference(make_problem: Callable, channels: int, settings: Settings, dtype: torch.dtype) -> None:
    problem = make_problem((2, channels, 9, 7), settings, dtype)
    assert_right(run(problem, settings), problem, settings)


@pytest.mark.usefixtures("deterministic")
def test_same_bits_every_time_under_deterministic_algorithms(make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    problem = make_problem((4, 128, 14, 14), settings, torch.float32)
    first = run(problem, settings)
    assert_right(first, problem, settings)
    for _ in range(10):
        assert all(torch.equal(a, b) for a, b in zip(first, run(problem, settings), strict=True))


def test_works_on_the_current_stream(make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    problem = make_problem((4, 256, 28, 28), settings, torch.float32)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10_000_000)  # the inputs below arrive late; a launch elsewhere would not see them
        results = run(problem, settings)
    torch.cuda.current_stream().wait_stream(stream)
    assert_right(results, problem, settings)


def test_works_in_a_new_thread(make_problem: Callable) -> None:
    """One that has made no call of the CUDA runtime: kernels are loaded, and PyTorch has memory at hand."""
    settings = Settings(3, "mean")
    problem = make_problem((2, 64, 8, 8), settings, torch.float32)
    inputs = [t.cuda().contiguous(memory_format=torch.channels_last) for t in problem[:3]]
    sifa_attention(*inputs)
    results: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: results.extend(sifa_attention(*inputs)))
    thread.start()
    thread.join()
    expected = reference.attention(*(t.double() for t in problem[:3]), settings)
    for a, b in zip(results, expected, strict=True):
        assert (a.cpu().double() - b).abs().max() <= 1e-5 * b.abs().max()


def test_is_captured_in_a_graph(make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    problem = make_problem((2, 64, 8, 8), settings, torch.float32)
    query, memory, offset = (t.cuda().contiguous(memory_format=torch.channels_last) for t in problem[:3])
    sifa_attention(query, memory, offset)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        aggregate, weights = sifa_attention(query, memory, offset)
    for seed in (1, 2):
        other = make_problem((2, 64, 8, 8), settings, torch.float32, seed)
        for static, fresh in zip((query, memory, offset), other[:3], strict=True):
            static.copy_(fresh)
        graph.replay()
        expected = reference.attention(*(t.double() for t in other[:3]), settings)
        for a, b in zip((aggregate, weights), expected, strict=True):
            assert (a.cpu().double() - b).abs().max() <= 1e-5 * b.abs().max()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_works_on_a_device_that_is_not_the_current_one(make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    problem = make_problem((2, 64, 8, 8), settings, torch.float32)
    with torch.cuda.device(0):
        results = run(problem, settings, "cuda:1")
    assert {t.device.index for t in results} == {1}
    assert_right(results, problem, settings)


def test_autocast_and_compile(make_problem: Callable) -> None:
    settings = Settings(3, "mean")
    problem = make_problem((2, 64, 8, 8), settings, torch.float32)
    inputs = [t.cuda() for t in problem[:3]]
    compiled = torch.compile(lambda *t: sifa_attention(*t)[0] * 2, fullgraph=True)
    expected = sifa_attention(*inputs)[0] * 2
    torch.testing.assert_close(compiled(*inputs), expected)
    with torch.autocast("cuda", torch.bfloat16):
        assert sifa_attention(*inputs)[0].dtype is torch.bfloat16


def test_indices_beyond_31_bits() -> None:
    """One image of more than 2**31 numbers; only its last rows are looked at."""
    height, width, channels = 2**15 + 1, 2**10, 64
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of free GPU memory")
    memory = torch.zeros(1, height, width, channels, device="cuda", dtype=torch.float16)
    tail = torch.randn(2, width, channels, device="cuda").half()
    memory[0, -2:] = tail
    feature = memory.permute(0, 3, 1, 2)
    offset = torch.zeros(1, 2, height, width, device="cuda", dtype=torch.float16)
    aggregate, _ = sifa_attention(feature, feature, offset, kernel_size=1)
    last = tail.float()
    expected = last * last.square().mean(-1, keepdim=True)
    torch.testing.assert_close(aggregate.permute(0, 2, 3, 1)[0, -2:].float(), expected, rtol=5e-3, atol=5e-3)
