"""The GPU back end on a GPU: parity, gradients, streams, graphs, devices. Runs only where there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from sifa_core.errors import ModelError
from sifa_core.ops import backend, driver, reference, sifa_attention
from sifa_core.ops.arguments import BackwardInputs, Settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
MEAN = Settings(3, "mean")
SETTINGS = [MEAN, Settings(3, "softmax"), Settings(1, "none"), Settings(5, "mean"), Settings(9, "softmax")]


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
    outputs = sifa_attention(*inputs, kernel_size=settings.kernel_size, scale=settings.scale)
    return [*outputs, *torch.autograd.grad(outputs, inputs, (grad, grad_weights))]


def assert_right(results: list[torch.Tensor], problem: tuple[torch.Tensor, ...], settings: Settings) -> None:
    # In float64 on the GPU itself, by PyTorch's own operations: hundreds of comparisons in seconds.
    query, memory, offset, grad, grad_weights = (t.to(results[0].device) for t in problem)
    exact = [t.double() for t in (query, memory, offset)]
    expected = reference.attention(*exact, settings)
    stored = expected[1].to(query.dtype).double()
    expected += reference.attention_backward(
        BackwardInputs(grad.double(), grad_weights.double(), *exact, stored), settings
    )
    for a, b in zip(results, expected, strict=True):
        assert (a.double() - b).abs().max() <= TOLERANCE[query.dtype] * b.abs().max()


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("channels", [2, 33, 34, 64, 128, 512, 1024])
def test_equals_reference(make_problem: Callable, channels: int, settings: Settings, dtype: torch.dtype) -> None:
    problem = make_problem((2, channels, 9, 7), settings, dtype)
    assert_right(run(problem, settings), problem, settings)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("shape", [(56, 128, 28, 28), (56, 256, 14, 14), (120, 512, 7, 7), (3, 96, 31, 17)])
def test_equals_reference_where_the_grid_is_full(
    make_problem: Callable, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    problem = make_problem(shape, MEAN, dtype)
    assert_right(run(problem, MEAN), problem, MEAN)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_offsets_of_16_bits(make_problem: Callable, dtype: torch.dtype) -> None:
    query, memory, offset, *grads = make_problem((2, 128, 9, 7), MEAN, dtype)
    problem = (query, memory, offset.nan_to_num(9.0).clamp(-100, 100).to(dtype), *grads)
    results = run(problem, MEAN)
    assert results[4].dtype is dtype
    assert_right(results, problem, MEAN)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_same_bits_every_time(make_problem: Callable, dtype: torch.dtype) -> None:
    problem = make_problem((4, 128, 14, 14), MEAN, dtype)
    first = run(problem, MEAN)
    assert_right(first, problem, MEAN)
    for _ in range(10):
        assert all(torch.equal(a, b) for a, b in zip(first, run(problem, MEAN), strict=True))


def test_more_channels_than_registers_hold_are_refused(make_problem: Callable) -> None:
    with pytest.raises(ModelError, match="at most 1024 channels, not 1028"):
        run(make_problem((1, 1028, 3, 3), MEAN, torch.float32), MEAN)


@pytest.mark.parametrize("wrong", [False, True])
def test_works_on_the_current_stream(make_problem: Callable, monkeypatch: pytest.MonkeyPatch, wrong: bool) -> None:
    """Inputs become right late on the current stream. A launch elsewhere runs before that, and is seen to be wrong."""
    problem = make_problem((4, 256, 28, 28), MEAN, torch.float32)
    right = [t.cuda().contiguous(memory_format=torch.channels_last) for t in problem[:3]]
    late = [torch.zeros_like(t) for t in right]
    sifa_attention(*late)  # compiled and loaded, which waits for everything
    elsewhere, stream = torch.cuda.Stream(), torch.cuda.Stream()
    torch.cuda.synchronize()
    if wrong:
        monkeypatch.setattr(driver, "_stream", lambda: elsewhere.cuda_stream)
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)  # a tenth of a second
        for static, fresh in zip(late, right, strict=True):
            static.copy_(fresh)
        aggregate, weights = sifa_attention(*late)
    monkeypatch.undo()
    torch.cuda.synchronize()
    expected = reference.attention(*(t.double() for t in right), MEAN)
    error = max(float((a.double() - b).abs().max()) for a, b in zip((aggregate, weights), expected, strict=True))
    assert (error > 0.1) if wrong else (error < 1e-3)


def test_works_in_a_new_thread(make_problem: Callable) -> None:
    """One that has made no call of the CUDA runtime: kernels are loaded, and PyTorch has memory at hand."""
    problem = make_problem((2, 64, 8, 8), MEAN, torch.float32)
    inputs = [t.cuda().contiguous(memory_format=torch.channels_last) for t in problem[:3]]
    sifa_attention(*inputs)
    results: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: results.extend(sifa_attention(*inputs)))
    thread.start()
    thread.join()
    expected = reference.attention(*(t.double() for t in problem[:3]), MEAN)
    for a, b in zip(results, expected, strict=True):
        assert (a.cpu().double() - b).abs().max() <= 1e-5 * b.abs().max()


def test_is_captured_in_a_graph_with_its_gradients(make_problem: Callable) -> None:
    problem = make_problem((2, 64, 8, 8), MEAN, torch.float32)
    tensors = [t.cuda().contiguous(memory_format=torch.channels_last) for t in problem]
    inputs = [t.requires_grad_() for t in tensors[:3]]

    def work() -> list[torch.Tensor]:
        outputs = sifa_attention(*inputs)
        return [*outputs, *torch.autograd.grad(outputs, inputs, tensors[3:])]

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = work()
    for seed in (1, 2):
        other = make_problem((2, 64, 8, 8), MEAN, torch.float32, seed)
        with torch.no_grad():
            for static, fresh in zip(tensors, other, strict=True):
                static.copy_(fresh)
        graph.replay()
        assert_right(results, other, MEAN)


def test_a_first_call_within_a_capture_condemns_nothing(
    make_problem: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem((2, 44, 5, 6), MEAN, torch.float32)  # a shape that no other test has
    inputs = [t.cuda().contiguous(memory_format=torch.channels_last) for t in problem[:3]]
    monkeypatch.setenv("SIFA_BACKEND", "auto")
    torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")  # cuBLAS cannot start within a capture
    graph = torch.cuda.CUDAGraph()
    with pytest.warns(RuntimeWarning, match="make one call before that"), torch.cuda.graph(graph):
        captured = sifa_attention(*inputs)
    graph.replay()
    expected = reference.attention(*(t.double() for t in inputs), MEAN)
    monkeypatch.setenv("SIFA_BACKEND", "cuda")
    for results in (captured, sifa_attention(*inputs)):
        for a, b in zip(results, expected, strict=True):
            assert (a.double() - b).abs().max() <= 1e-5 * b.abs().max()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_works_on_a_device_that_is_not_the_current_one(make_problem: Callable) -> None:
    problem = make_problem((2, 64, 8, 8), MEAN, torch.float32)
    with torch.cuda.device(0):
        results = run(problem, MEAN, "cuda:1")
    assert {t.device.index for t in results} == {1}
    assert_right(results, problem, MEAN)


def test_compiled_training_equals_eager(make_problem: Callable) -> None:
    problem = make_problem((2, 64, 8, 8), MEAN, torch.float32)
    inputs = [t.cuda().requires_grad_() for t in problem[:3]]

    def loss(*tensors: torch.Tensor) -> torch.Tensor:
        aggregate, weights = sifa_attention(*tensors)
        return (aggregate * 2).square().sum() + weights.sin().sum()

    expected = torch.autograd.grad(loss(*inputs), inputs)
    compiled = torch.autograd.grad(torch.compile(loss, fullgraph=True)(*inputs), inputs)
    for a, b in zip(compiled, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_autocast_training(make_problem: Callable) -> None:
    problem = make_problem((2, 64, 8, 8), MEAN, torch.float32)
    inputs = [t.cuda().requires_grad_() for t in problem[:3]]
    with torch.autocast("cuda", torch.bfloat16):
        outputs = sifa_attention(*inputs)
    assert {t.dtype for t in outputs} == {torch.bfloat16}
    grads = torch.autograd.grad(outputs, inputs, tuple(t.cuda().bfloat16() for t in problem[3:]))
    assert {t.dtype for t in grads} == {torch.float32}
    rounded = tuple(t.bfloat16() if i != 2 else t for i, t in enumerate(problem))
    assert_right([*outputs, *grads], rounded, MEAN)


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
