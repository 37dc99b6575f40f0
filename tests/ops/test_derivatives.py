"""Derivatives of every kind, against autograd of the definition; and what training does to the operator's results."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import func
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from sifa_core.ops import reference, sifa_attention
from sifa_core.ops.arguments import BackwardInputs, Gradients, Needs, Settings

CASES = [Settings(3, "mean"), Settings(2, "softmax")]
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def ours(settings: Settings) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    return lambda *inputs: sifa_attention(*inputs, kernel_size=settings.kernel_size, scale=settings.scale)


def definition(settings: Settings) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    return lambda *inputs: reference.attention(*inputs, settings)


@pytest.fixture(params=CASES, ids=str)
def settings(request: pytest.FixtureRequest) -> Settings:
    return request.param


@pytest.fixture
def inputs(settings: Settings, make_inputs: Callable) -> Inputs:
    return make_inputs(1, 4, 3, 2, kernel_size=settings.kernel_size)


def assert_close(first: object, second: object) -> None:
    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_forward_mode(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    generator = torch.Generator().manual_seed(2)
    tangents = tuple(torch.randn(t.shape, dtype=t.dtype, generator=generator) for t in inputs)
    outputs, directions = func.jvp(ours(settings), inputs, tangents)
    assert_close(outputs, ours(settings)(*inputs))
    step = 1e-6
    ahead, behind = (ours(settings)(*(t + s * d for t, d in zip(inputs, tangents, strict=True))) for s in (step, -step))
    for slope, right, left in zip(directions, ahead, behind, strict=True):
        assert slope.abs().max() > 0.01
        torch.testing.assert_close(slope, (right - left) / (2 * step), rtol=1e-6, atol=1e-6)


def test_dual_tensors_with_and_without_gradients(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    tangents = tuple(torch.randn_like(t) for t in inputs)
    expected = func.jvp(definition(settings), inputs, tangents)[1]
    for needs in (False, True):
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(t.clone().requires_grad_(needs), d) for t, d in zip(inputs, tangents, strict=True)
            ]
            found = [forward_ad.unpack_dual(t).tangent for t in ours(settings)(*duals)]
        assert_close(tuple(t.detach() for t in found), expected)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("transform", [func.jacfwd, func.jacrev])
def test_jacobians(each_backend: str, settings: Settings, inputs: Inputs, transform: Callable, which: int) -> None:
    assert_close(
        transform(ours(settings), argnums=which)(*inputs), func.jacrev(definition(settings), argnums=which)(*inputs)
    )


def test_grad_and_vjp(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    leaves = [t.clone().requires_grad_() for t in inputs]
    outputs = definition(settings)(*leaves)
    directions = tuple(torch.randn_like(t) for t in outputs)
    expected = torch.autograd.grad(outputs, leaves, directions)
    assert_close(func.vjp(ours(settings), *inputs)[1](directions), expected)

    def loss(*given: torch.Tensor) -> torch.Tensor:
        return sum((t * d).sum() for t, d in zip(ours(settings)(*given), directions, strict=True))

    assert_close(func.grad(loss, argnums=(0, 1, 2))(*inputs), expected)


@pytest.mark.filterwarnings("error:There is a performance drop")
def test_vmap_over_any_dimension_of_any_input(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    query, memory, offset = inputs
    many = torch.stack((query, 2 * query, query - 1), dim=2)
    outputs = func.vmap(ours(settings), in_dims=(2, None, None), out_dims=1)(many, memory, offset)
    for i in range(3):
        assert_close(tuple(t[:, i] for t in outputs), ours(settings)(many[:, :, i], memory, offset))
    every = [torch.stack((t, t.flip(2))) for t in inputs]
    outputs = func.vmap(ours(settings))(*every)
    for i in range(2):
        assert_close(tuple(t[i] for t in outputs), ours(settings)(*(t[i] for t in every)))


def test_vmap_and_grad_in_either_order(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    def loss(*given: torch.Tensor) -> torch.Tensor:
        return ours(settings)(*given)[0].square().sum()

    every = [torch.stack((t, t.flip(2))) for t in inputs]
    expected = [func.grad(loss, argnums=(0, 1, 2))(*(t[i] for t in every)) for i in range(2)]
    assert_close(
        func.vmap(func.grad(loss, argnums=(0, 1, 2)))(*every), tuple(map(torch.stack, zip(*expected, strict=True)))
    )
    whole = func.grad(lambda *given: func.vmap(loss)(*given).sum(), argnums=(0, 1, 2))(*every)
    assert_close(whole, tuple(map(torch.stack, zip(*expected, strict=True))))


@pytest.mark.filterwarnings("error:There is a performance drop")
def test_many_gradients_at_once(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    leaves = [t.clone().requires_grad_() for t in inputs]
    leaves[1].requires_grad_(False)
    outputs = ours(settings)(*leaves)
    directions = [torch.randn(3, *t.shape, dtype=t.dtype) for t in outputs]
    wanted = leaves[::2]
    together = torch.autograd.grad(outputs, wanted, directions, retain_graph=True, is_grads_batched=True)
    for i in range(3):
        alone = torch.autograd.grad(outputs, wanted, [d[i] for d in directions], retain_graph=True)
        assert_close(tuple(t[i] for t in together), alone)


def test_second_derivatives(each_backend: str, settings: Settings, inputs: Inputs) -> None:
    query, memory, offset = inputs
    offset = offset.floor() + 0.1 + 0.8 * torch.rand(offset.shape, dtype=offset.dtype)  # away from the kinks
    assert torch.autograd.gradgradcheck(ours(settings), [t.requires_grad_() for t in (query, memory, offset)])


def test_second_derivative_of_one_tensor_as_query_and_memory(each_backend: str, inputs: Inputs) -> None:
    frame, offset = inputs[0].requires_grad_(), inputs[2]
    size = 3 if offset.shape[1] == 18 else 2

    def hessian(function: Callable) -> torch.Tensor:
        (grad,) = torch.autograd.grad(function(frame, frame, offset)[0].square().sum(), frame, create_graph=True)
        return torch.autograd.grad(grad.sum(), frame)[0]

    chosen = Settings(size, "mean")
    assert_close(hessian(ours(chosen)), hessian(definition(chosen)))


def change_by_relu(result: torch.Tensor) -> torch.Tensor:
    return result.relu_()


def change_by_arithmetic(result: torch.Tensor) -> torch.Tensor:
    result += 1
    result *= 2
    return result


@pytest.mark.parametrize("change", [change_by_relu, change_by_arithmetic])
def test_results_may_be_changed_in_place(each_backend: str, make_inputs: Callable, change: Callable) -> None:
    """Which PyTorch refuses where a result is a view that was made within the operator."""
    leaves = [t.requires_grad_() for t in make_inputs()]
    grads = torch.autograd.grad(change(sifa_attention(*leaves)[0]).sum(), leaves)
    assert_close(grads, torch.autograd.grad(change(sifa_attention(*leaves)[0].clone()).sum(), leaves))
    change(sifa_attention(*leaves)[1])


@pytest.mark.parametrize(
    "needs", [(True, False, False), (False, True, False), (False, False, True), (True, False, True)]
)
def test_back_ends_are_asked_for_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, make_inputs: Callable, needs: tuple[bool, ...]
) -> None:
    from sifa_core.ops import backends, cpu

    asked = []

    def spy(given: BackwardInputs, settings: Settings, wanted: Needs) -> Gradients:
        asked.append((given.grad_weights is None, wanted))
        return cpu.attention_backward(given, settings, wanted)

    monkeypatch.setenv("SIFA_BACKEND", "cpu")
    monkeypatch.setattr(backends, "_CPU", backends._CPU._replace(attention_backward=spy))
    leaves = [t.requires_grad_(need) for t, need in zip(make_inputs(), needs, strict=True)]
    sifa_attention(*leaves)[0].sum().backward()
    assert asked == [(True, needs)]  # nor does anybody make zeros for the weights that were not used
    assert [t.grad is not None for t in leaves] == list(needs)


def test_operations_are_counted_forward_and_backward(monkeypatch: pytest.MonkeyPatch, make_inputs: Callable) -> None:
    monkeypatch.setenv("SIFA_BACKEND", "cpu")
    products = 2 * 6 * 5 * 7 * 9  # images, channels, rows, columns, taps
    for needs, multiply_adds in (((True, True, True), 16), ((True, False, False), 6), ((False, True, False), 11)):
        leaves = [t.requires_grad_(need) for t, need in zip(make_inputs(), needs, strict=True)]
        with FlopCounterMode(display=False) as counter:
            aggregate, _ = sifa_attention(*leaves)
        assert counter.get_total_flops() == 2 * 6 * products
        with FlopCounterMode(display=False) as counter:
            aggregate.backward(torch.ones_like(aggregate))
        assert counter.get_total_flops() == 2 * multiply_adds * products
