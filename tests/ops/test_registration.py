"""The native back end inside PyTorch's machinery: opcheck, compile, export, autocast, data parallel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

from sifa_core.ops import backend, reference, sifa_attention
from sifa_core.ops.arguments import ALL, Settings
from tests.ops import train_rank
from tests.ops.train_rank import Block
from tests.processes import ranks


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIFA_BACKEND", "cpu")
    assert backend() == "cpu"


@pytest.fixture
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 8, 6, 5), torch.randn(2, 8, 6, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_opcheck_forward(make_inputs: Callable, dtype: torch.dtype) -> None:
    inputs = [t.requires_grad_() for t in make_inputs(dtype=dtype)]
    torch.library.opcheck(torch.ops.sifa.attention, (*inputs, 3, "softmax"))


def test_opcheck_backward(make_inputs: Callable) -> None:
    inputs = make_inputs(dtype=torch.float32)
    aggregate, weights = sifa_attention(*inputs)
    for grad_weights, needs in ((torch.randn_like(weights), ALL), (None, (True, False, True))):
        arguments = (torch.randn_like(aggregate), grad_weights, *inputs, weights, 3, "mean", needs)
        torch.library.opcheck(torch.ops.sifa.attention_backward, arguments)


def test_backward_checks_its_tensors(make_inputs: Callable) -> None:
    inputs = make_inputs(dtype=torch.float32)
    aggregate, weights = sifa_attention(*inputs)
    with pytest.raises(Exception, match=r"grad_weights must be \(2, 9, 5, 7\)"):
        torch.ops.sifa.attention_backward(aggregate, weights[:, :3], *inputs, weights, 3, "mean", (True, True, True))


@pytest.mark.slow
def test_compiles_whole_with_dynamic_shapes_and_never_again() -> None:
    block = Block().to(memory_format=torch.channels_last)
    compiled_times = 0

    def counting(graph: torch.fx.GraphModule, _: list) -> Callable:
        nonlocal compiled_times
        compiled_times += 1
        return make_boxed_func(graph.forward)

    compiled = torch.compile(block, backend=aot_autograd(fw_compiler=counting), fullgraph=True, dynamic=True)
    for shape in ((2, 8, 6, 5), (3, 8, 9, 4), (5, 8, 7, 12)):
        pair = [torch.randn(shape).to(memory_format=torch.channels_last) for _ in range(2)]
        expected = block(*pair)
        expected.square().sum().backward()
        expected_grad = block.offset.weight.grad.clone()
        block.zero_grad()
        ours = compiled(*pair)
        ours.square().sum().backward()
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(block.offset.weight.grad, expected_grad, rtol=1e-4, atol=1e-4)
        block.zero_grad()
        if shape[0] == 2:
            after_first = compiled_times
    assert after_first > 0
    assert compiled_times == after_first


def test_inductor_gives_the_same_numbers(make_inputs: Callable) -> None:
    """Nothing but the operator in the graph: Inductor then has no kernel of its own to compile, which takes long."""
    inputs = [t.requires_grad_() for t in make_inputs(dtype=torch.float32)]
    compiled = torch.compile(lambda *t: sifa_attention(*t), fullgraph=True)
    expected, ours = sifa_attention(*inputs), compiled(*inputs)
    directions = [torch.randn_like(t) for t in expected]
    for a, b in zip(
        (*ours, *torch.autograd.grad(ours, inputs, directions)),
        (*expected, *torch.autograd.grad(expected, inputs, directions)),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_exports_with_dynamic_shapes(frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    block = Block().eval()
    sizes = {0: torch.export.Dim("n", min=1), 2: torch.export.Dim("h", min=2), 3: torch.export.Dim("w", min=2)}
    exported = torch.export.export(block, frames, dynamic_shapes=(sizes, sizes))
    assert any(node.target is torch.ops.sifa.attention.default for node in exported.graph.nodes)
    other = torch.randn(3, 8, 4, 9), torch.randn(3, 8, 4, 9)
    for pair in (frames, other):
        torch.testing.assert_close(exported.module()(*pair), block(*pair))


def test_autocast_casts_features_and_keeps_offsets(make_inputs: Callable) -> None:
    query, memory, offset = make_inputs(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        aggregate, weights = sifa_attention(query, memory.bfloat16(), offset)
    assert aggregate.dtype is weights.dtype is torch.bfloat16
    expected = sifa_attention(query.bfloat16(), memory.bfloat16(), offset)
    assert torch.equal(aggregate, expected[0])
    assert torch.equal(weights, expected[1])


def test_trains_under_autocast(frames: tuple[torch.Tensor, torch.Tensor]) -> None:
    block = Block()
    with torch.autocast("cpu", torch.bfloat16):
        loss = block(*frames).float().square().mean()
    loss.backward()
    exact = torch.autograd.grad(block(*frames).square().mean(), block.mix.weight)[0]
    ours = block.mix.weight.grad
    assert ours.dtype is torch.float32
    assert torch.nn.functional.cosine_similarity(ours.flatten(), exact.flatten(), dim=0) > 0.99


def test_float64_stays_float64_under_autocast(make_inputs: Callable) -> None:
    inputs = make_inputs()
    with torch.autocast("cpu", torch.bfloat16):
        aggregate, _ = sifa_attention(*inputs)
    assert aggregate.dtype is torch.float64
    expected, _ = reference.attention(*inputs, Settings(3, "mean"))
    torch.testing.assert_close(aggregate, expected)


def test_meta_tensors_have_shapes(make_inputs: Callable) -> None:
    aggregate, weights = sifa_attention(*(t.to("meta") for t in make_inputs()))
    assert aggregate.shape == (2, 6, 5, 7)
    assert weights.shape == (2, 9, 5, 7)


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    ranks(train_rank.step, tmp_path / "store", tmp_path / "grads.pt", folder=tmp_path)
    block, frames = train_rank.problem()
    block(*frames).square().mean().backward()
    together = torch.load(tmp_path / "grads.pt")
    for a, parameter in zip(together, block.parameters(), strict=True):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0
        torch.testing.assert_close(a, parameter.grad, rtol=1e-5, atol=1e-7)
