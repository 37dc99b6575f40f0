"""The harness times what it says, and needs nothing but PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import harness

ROOT = Path(__file__).resolve().parents[2]


def test_the_second_call_of_each_turn_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []
    monkeypatch.setattr(harness.time, "perf_counter", lambda: now[0])

    def taking(name: str, seconds: list[float]) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            now[0] += seconds.pop(0)

        return run

    warm = [50.0, 60.0] * harness.WARM_UPS
    calls = {
        "a": harness.Call(taking("a", [*warm, 9.0, 1.0, 9.0, 3.0, 9.0, 2.5]), ()),
        "b": harness.Call(taking("b", [*warm, 9.0, 7.0, 9.0, 5.0, 9.0, 4.0]), ()),
    }
    assert harness.measure(calls, "cpu", 3) == {"a": (2.5, 1.0), "b": (5.0, 4.0)}
    assert order == ["a", "a", "b", "b"] * (harness.WARM_UPS + 3)


def test_forward_records_nothing_and_gradients_are_not_accumulated() -> None:
    x, y, grad = torch.rand(3, 4)
    seen = []

    def product(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(torch.is_grad_enabled())
        return a * b, a

    function, inputs = harness.forward(product, (x, y))
    assert not function(*inputs)[0].requires_grad
    function, inputs = harness.forward_and_backward(product, (x, y), grad)
    for _ in range(2):
        grads = function(*inputs)
    assert seen == [False, True, True]
    torch.testing.assert_close(grads, (grad * y, grad * x))
    assert [t.grad for t in inputs] == [None] * 3
    assert not x.requires_grad


def test_copies_do_not_fit_the_cache() -> None:
    image = torch.rand(2, 8, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    inputs = image, torch.rand(10)
    copies = harness.rotating(inputs, cache_bytes=10_000)
    assert sum(t.nbytes for pair in copies for t in pair) > 20_000
    assert len({t.data_ptr() for pair in copies for t in pair}) == 2 * len(copies)
    for first, second in copies:
        assert torch.equal(first, image)
        assert first.stride() == image.stride()
        assert first.requires_grad
        assert first.is_leaf
        assert not second.requires_grad
    assert len(harness.rotating(inputs, cache_bytes=0)) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_copy_on_a_gpu_takes_as_long_as_its_bytes() -> None:
    small, large = (torch.rand(size, device="cuda") for size in (2**20, 2**26))
    calls = {name: harness.forward(lambda t: (t.clone(),), (t,)) for name, t in (("small", small), ("large", large))}
    times = harness.measure(calls, "cuda", 5)
    assert all(0 < t.fastest <= t.median for t in times.values())
    assert times["large"].median > 8 * times["small"].median


def test_importing_it_takes_pytorch_alone() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import benchmarks.harness;"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['benchmarks']"
