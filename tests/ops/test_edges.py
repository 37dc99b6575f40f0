"""Shapes and offsets at the edge of what is allowed, and one clear error for each that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sifa_core.errors import ConfigError, ModelError, UnknownNameError
from sifa_core.ops import backend, reference, sifa_attention
from sifa_core.ops.arguments import Settings


def assert_equal_with_gradients(
    inputs: tuple[torch.Tensor, ...], expected_inputs: tuple[torch.Tensor, ...], **settings: object
) -> None:
    """The operator on `inputs` against the reference on `expected_inputs`, which hold the same numbers."""
    full = Settings(**{"kernel_size": 3, "scale": "mean", **settings})
    ours_in = [t.detach().requires_grad_() for t in inputs]
    theirs_in = [t.detach().clone().requires_grad_() for t in expected_inputs]
    ours, theirs = sifa_attention(*ours_in, **settings), reference.attention(*theirs_in, full)
    directions = [torch.randn_like(t) for t in theirs]
    ours_grads = torch.autograd.grad(ours, ours_in, directions)
    theirs_grads = torch.autograd.grad(theirs, theirs_in, directions)
    for a, b in zip((*ours, *ours_grads), (*theirs, *theirs_grads), strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(0, 4, 3, 3), (2, 4, 1, 1), (1, 1, 1, 6), (1, 3, 6, 1), (3, 17, 2, 3), (1, 1, 1, 1)])
@pytest.mark.parametrize("kernel_size", [1, 3, 8])
def test_small_and_odd_shapes(
    each_backend: str, make_inputs: Callable, shape: tuple[int, ...], kernel_size: int
) -> None:
    inputs = make_inputs(*shape, kernel_size=kernel_size)
    assert_equal_with_gradients(inputs, inputs, kernel_size=kernel_size)


@pytest.mark.parametrize("shape", [(2, 4, 0, 3), (2, 4, 3, 0), (2, 0, 3, 3)])
def test_nothing_in_nothing_out(each_backend: str, make_inputs: Callable, shape: tuple[int, ...]) -> None:
    inputs = [t.requires_grad_() for t in make_inputs(*shape)]
    aggregate, weights = sifa_attention(*inputs)
    assert aggregate.shape == shape
    assert weights.shape == (shape[0], 9, *shape[2:])
    assert not weights.any()
    (aggregate.sum() + weights.sum()).backward()
    assert [tuple(t.grad.shape) for t in inputs] == [tuple(t.shape) for t in inputs]
    assert not inputs[2].grad.any()


@pytest.mark.parametrize("kernel_size", range(1, 10))
def test_every_kernel_size(each_backend: str, make_inputs: Callable, kernel_size: int) -> None:
    inputs = make_inputs(1, 4, 6, 5, kernel_size=kernel_size)
    assert_equal_with_gradients(inputs, inputs, kernel_size=kernel_size)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 2.0**31, -(2.0**63), 1e4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_bad_offsets_read_zero_and_get_no_gradient(
    each_backend: str, make_inputs: Callable, bad: float, dtype: torch.dtype
) -> None:
    query, memory, offset = make_inputs(dtype=dtype)
    offset[:, 4:6] = bad
    expected = offset.clone()
    expected[:, 4:6] = 1000
    outputs, grads = [], []
    for given in (offset, expected):
        inputs = [t.clone().requires_grad_() for t in (query, memory, given)]
        result = sifa_attention(*inputs, scale="softmax")
        outputs.append(result)
        grads.append(torch.autograd.grad((result[0] ** 2).sum(), inputs))
    for a, b in zip((*outputs[0], *grads[0]), (*outputs[1], *grads[1]), strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()
    assert not grads[0][2][:, 4:6].any()


def test_all_points_outside(each_backend: str, make_inputs: Callable) -> None:
    query, memory, offset = make_inputs()
    inputs = [t.requires_grad_() for t in (query, memory, torch.full_like(offset, 99.0))]
    aggregate, weights = sifa_attention(*inputs)
    assert not aggregate.any()
    assert not weights.any()
    _, softmax_weights = sifa_attention(*inputs, scale="softmax")
    torch.testing.assert_close(softmax_weights, torch.full_like(softmax_weights, 1 / 9))
    for grad in torch.autograd.grad(aggregate.sum(), inputs):
        assert not grad.any()


def layouts(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    batch, channels, height, width = tensor.shape
    wide = tensor.new_zeros(batch, channels, height, 2 * width)
    wide[..., ::2] = tensor
    longer = tensor.new_zeros(2 * batch, channels, height, width).to(memory_format=torch.channels_last)
    longer[::2] = tensor
    return {
        "contiguous": tensor,
        "channels_last": tensor.contiguous(memory_format=torch.channels_last),
        "every second column": wide[..., ::2],
        "every second image": longer[::2],
        "transposed": tensor.transpose(2, 3).contiguous().transpose(2, 3),
        "flipped back": tensor.flip(1).flip(1),
    }


LAYOUTS = ["contiguous", "channels_last", "every second column", "every second image", "transposed", "flipped back"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_strides(each_backend: str, make_inputs: Callable, layout: str) -> None:
    inputs = make_inputs(batch=3)
    assert_equal_with_gradients([layouts(t)[layout] for t in inputs], inputs)


def test_outputs_are_channels_last(each_backend: str, make_inputs: Callable) -> None:
    inputs = [t.requires_grad_() for t in make_inputs()]
    outputs = sifa_attention(*inputs)
    grads = torch.autograd.grad(outputs[0].sum(), inputs)
    for tensor in outputs if each_backend == "reference" else (*outputs, *grads):  # its gradients are autograd's
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_expanded_and_missing_gradients(each_backend: str, make_inputs: Callable) -> None:
    """`sum()` hands back a gradient of stride 0; an unused output hands back none."""
    for pick in (0, 1):
        grads = []
        for function in (
            lambda *t: sifa_attention(*t),
            lambda *t: reference.attention(*t, Settings(3, "mean")),
        ):
            inputs = [t.requires_grad_() for t in make_inputs()]
            grads.append(torch.autograd.grad(function(*inputs)[pick].sum(), inputs))
        for a, b in zip(*grads, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradient_of_one_input_alone(each_backend: str, make_inputs: Callable, which: int) -> None:
    inputs = [t.requires_grad_() for t in make_inputs()]
    whole = torch.autograd.grad(sifa_attention(*inputs)[0].sum(), inputs)
    alone = [t.detach().requires_grad_(i == which) for i, t in enumerate(inputs)]
    sifa_attention(*alone)[0].sum().backward()
    assert torch.equal(alone[which].grad, whole[which])
    assert [t.grad is None for t in alone] == [i != which for i in range(3)]


def test_inputs_are_left_alone(each_backend: str, make_inputs: Callable) -> None:
    inputs = [t.requires_grad_() for t in make_inputs()]
    before = [t.detach().clone() for t in inputs]
    sifa_attention(*inputs)[0].sum().backward()
    for tensor, copy in zip(inputs, before, strict=True):
        assert torch.equal(tensor, copy)


def test_one_tensor_as_query_and_memory(each_backend: str, make_inputs: Callable) -> None:
    """The last frame of a clip attends to itself."""
    query, _, offset = make_inputs()
    assert_equal_with_gradients((query, query, offset), (query, query, offset))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("offset_dtype", ["own", "float32"])
def test_16_bit_features(each_backend: str, make_inputs: Callable, dtype: torch.dtype, offset_dtype: str) -> None:
    inputs = make_inputs(channels=40, dtype=dtype)
    if offset_dtype == "float32":
        inputs = (*inputs[:2], inputs[2].float() + 0.001)
    ours_in = [t.requires_grad_() for t in inputs]
    theirs_in = [t.detach().double().requires_grad_() for t in inputs]
    ours, theirs = sifa_attention(*ours_in), reference.attention(*theirs_in, Settings(3, "mean"))
    ours_grads = torch.autograd.grad(ours[0].sum(), ours_in)
    theirs_grads = torch.autograd.grad(theirs[0].sum(), theirs_in)
    step = torch.finfo(dtype).eps
    for a, b in zip((*ours, *ours_grads), (*theirs, *theirs_grads), strict=True):
        # One rounding of the result, and of the weights that the backward reads.
        assert (a.double() - b).abs().max() <= 2 * step * b.abs().max()
    assert [t.dtype for t in ours_grads] == [t.dtype for t in inputs]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"kernel_size": 0}, ConfigError, "kernel_size must be 1 to 9, not 0"),
        ({"kernel_size": 10}, ConfigError, "kernel_size must be 1 to 9, not 10"),
        ({"scale": "sum"}, ConfigError, "mean, none, softmax, not 'sum'"),
        ({"kernel_size": 5}, ModelError, r"offset must be \(2, 50, 5, 7\) for kernel_size=5"),
        ({"query": torch.zeros(6, 5, 7)}, ModelError, "query must have 4 dimensions"),
        ({"memory": torch.zeros(2, 6, 5, 6)}, ModelError, "memory must have query's shape"),
        ({"memory": torch.zeros(2, 6, 5, 7).half()}, ModelError, "must have one dtype"),
        ({"query": torch.zeros(2, 6, 5, 7, dtype=torch.long)}, ModelError, "query must be float16"),
        ({"offset": torch.zeros(2, 18, 5, 7, dtype=torch.int32)}, ModelError, "offset must be float16"),
        ({"offset": torch.zeros(2, 18, 5, 7, device="meta")}, ModelError, "must be on one device"),
    ],
)
def test_one_clear_error(make_inputs: Callable, change: dict, error: type[Exception], words: str) -> None:
    query, memory, offset = make_inputs(dtype=torch.float32)
    tensors = {"query": query, "memory": memory, "offset": offset}
    settings = {name: value for name, value in change.items() if name not in tensors}
    tensors.update((name, value) for name, value in change.items() if name in tensors)
    with pytest.raises(error, match=words):
        sifa_attention(*tensors.values(), **settings)


def test_backend_by_name(monkeypatch: pytest.MonkeyPatch, make_inputs: Callable) -> None:
    monkeypatch.setenv("SIFA_BACKEND", "fastest")
    with pytest.raises(UnknownNameError, match="auto, reference, dense, cpu, cuda, not 'fastest'"):
        sifa_attention(*make_inputs())
    monkeypatch.setenv("SIFA_BACKEND", "cuda")
    with pytest.raises(ModelError, match="SIFA_BACKEND=cuda cannot work on tensors that are on cpu"):
        sifa_attention(*make_inputs())
    monkeypatch.setenv("SIFA_BACKEND", "")
    assert backend() == backend("cpu", torch.bfloat16) == "cpu"
