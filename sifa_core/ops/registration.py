"""The operator as PyTorch sees it: `torch.ops.sifa.attention` and `torch.ops.sifa.attention_backward`.

Both are opaque to torch.compile and torch.export; shape inference, gradients, vmap and autocast are registered here.
All outputs are channels_last whatever the inputs' strides, so that shapes alone determine the layout.

Back ends have a forward and one backward. Derivatives of other kinds, forward-mode ones, second ones and those of
torch.func, are PyTorch's own derivatives of the definition (reference.py).

N images, C channels, K taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from sifa_core.errors import ModelError
from sifa_core.ops import backends, reference
from sifa_core.ops.arguments import BackwardInputs, Needs, Settings, check
from sifa_core.ops.layout import empty

Tensors = tuple[torch.Tensor, ...]

_LIBRARY = torch.library.Library("sifa", "DEF")
_LIBRARY.define(
    "attention(Tensor query, Tensor memory, Tensor offset, int kernel_size, str scale) -> (Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_LIBRARY.define(
    "attention_backward(Tensor grad_aggregate, Tensor? grad_weights, Tensor query, Tensor memory, Tensor offset, "
    "Tensor weights, int kernel_size, str scale, bool[3] needs) -> (Tensor, Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def _promised_layout(tensor: torch.Tensor) -> torch.Tensor:
    """Strides exactly as shape inference promises them, also where a size of 1 would leave a choice."""
    _, channels, height, width = tensor.shape
    if tensor.stride() == (channels * height * width, 1, width * channels, channels):
        return tensor
    return empty(tensor, channels, tensor.dtype).copy_(tensor)


def _attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, kernel_size: int, scale: str
) -> tuple[torch.Tensor, torch.Tensor]:
    settings = Settings(kernel_size, scale)
    check(query, memory, offset, settings)
    aggregate, weights = backends.select(query).attention(query, memory, offset, settings)
    return _promised_layout(aggregate), _promised_layout(weights)


def _attention_backward(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor | None,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    kernel_size: int,
    scale: str,
    needs: Sequence[bool],
) -> Tensors:
    """Gradients of query, memory and offset; an empty tensor stands for each that is not needed."""
    settings = Settings(kernel_size, scale)
    given = BackwardInputs(grad_aggregate, grad_weights, query, memory, offset, weights)
    _check_backward(given, settings)
    grads = backends.select(query).attention_backward(given, settings, tuple(needs))
    return tuple(query.new_empty(0) if grad is None else _promised_layout(grad) for grad in grads)


def _check_backward(given: BackwardInputs, settings: Settings) -> None:
    query = given.query
    check(query, given.memory, given.offset, settings)
    batch, _, height, width = query.shape
    weight_shape = (batch, settings.taps, height, width)
    for name, tensor, shape in (
        ("grad_aggregate", given.grad_aggregate, tuple(query.shape)),
        ("grad_weights", given.grad_weights, weight_shape),
        ("weights", given.weights, weight_shape),
    ):
        if tensor is None:
            continue
        if tuple(tensor.shape) != shape or tensor.device != query.device or tensor.dtype != query.dtype:
            raise ModelError(f"{name} must be {shape}, {query.dtype} on {query.device}.")


for _name, _function in (("attention", _attention), ("attention_backward", _attention_backward)):
    _LIBRARY.impl(_name, _function, "CompositeExplicitAutograd")


@torch.library.register_fake("sifa::attention", lib=_LIBRARY)
def _attention_fake(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, kernel_size: int, scale: str
) -> tuple[torch.Tensor, torch.Tensor]:
    settings = Settings(kernel_size, scale)
    check(query, memory, offset, settings)
    return empty(query, query.shape[1], query.dtype), empty(query, settings.taps, query.dtype)


@torch.library.register_fake("sifa::attention_backward", lib=_LIBRARY)
def _attention_backward_fake(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor | None,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    kernel_size: int,
    scale: str,
    needs: Sequence[bool],
) -> Tensors:
    given = BackwardInputs(grad_aggregate, grad_weights, query, memory, offset, weights)
    _check_backward(given, Settings(kernel_size, scale))
    return tuple(
        empty(t, t.shape[1], t.dtype) if need else query.new_empty(0)
        for t, need in zip((query, memory, offset), needs, strict=True)
    )


class _Differentiable(torch.autograd.Function):
    """The operator with the gradient that back ends compute."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, kernel_size: int, scale: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            aggregate, weights = torch.ops.sifa.attention.default(query, memory, offset, kernel_size, scale)
        ctx.save_for_backward(query, memory, offset, weights)
        ctx.set_materialize_grads(False)  # hardly anybody differentiates the weights
        ctx.settings = Settings(kernel_size, scale)
        return aggregate, weights

    @staticmethod
    def backward(ctx: Any, grad_aggregate: torch.Tensor | None, grad_weights: torch.Tensor | None) -> tuple[Any, ...]:
        query, memory, offset, weights = ctx.saved_tensors
        settings: Settings = ctx.settings
        needs: Needs = ctx.needs_input_grad[:3]
        if grad_aggregate is None:
            grad_aggregate = torch.zeros_like(query)
        given = BackwardInputs(grad_aggregate, grad_weights, query, memory, offset, weights)
        if torch.is_grad_enabled():  # somebody is going to differentiate the gradients
            return (*reference.attention_backward(given, settings, needs, create_graph=True), None, None)
        grads = torch.ops.sifa.attention_backward.default(*given, settings.kernel_size, settings.scale, needs)
        return (*(grad if need else None for grad, need in zip(grads, needs, strict=True)), None, None)


def _with_derivatives(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, kernel_size: int, scale: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """What runs wherever PyTorch may want a derivative."""
    arguments = (query, memory, offset)
    differentiates = torch.is_grad_enabled() and any(t.requires_grad for t in arguments)
    transforms = torch._C._are_functorch_transforms_active() or any(
        forward_ad.unpack_dual(t).tangent is not None for t in arguments
    )
    if transforms or (differentiates and backends.requested() == "reference"):
        settings = Settings(kernel_size, scale)
        check(*arguments, settings)
        aggregate, weights = reference.attention(*arguments, settings)
        return _as_channels_last(aggregate), _as_channels_last(weights)
    if differentiates:
        return _Differentiable.apply(*arguments, kernel_size, scale)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.sifa.attention.default(*arguments, kernel_size, scale)


def _as_channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers laid out channels_last, by operations that every transform knows."""
    return tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _no_derivative(*_: Any) -> None:
    raise NotImplementedError(
        "sifa::attention_backward cannot be differentiated itself; differentiate sifa::attention with create_graph."
    )


_LIBRARY.impl("attention", _with_derivatives, "Autograd")
torch.library.register_autograd("sifa::attention_backward", _no_derivative, lib=_LIBRARY)


def _fold(tensor: torch.Tensor | None, dimension: int | None, size: int) -> torch.Tensor | None:
    """vmap's dimension of `size`, where the tensor has it, made part of N; else the tensor repeated."""
    if tensor is None:
        return None
    mapped = tensor.expand(size, *tensor.shape) if dimension is None else tensor.movedim(dimension, 0)
    return mapped.flatten(0, 1)


@torch.library.register_vmap("sifa::attention", lib=_LIBRARY)
def _attention_vmap(info: Any, dimensions: tuple[Any, ...], *arguments: Any) -> tuple[Tensors, tuple[int, int]]:
    size = info.batch_size
    folded = [_fold(t, d, size) for t, d in zip(arguments[:3], dimensions[:3], strict=True)]
    outputs = torch.ops.sifa.attention.default(*folded, *arguments[3:])
    return tuple(t.unflatten(0, (size, t.shape[0] // size)) for t in outputs), (0, 0)


@torch.library.register_vmap("sifa::attention_backward", lib=_LIBRARY)
def _attention_backward_vmap(
    info: Any, dimensions: tuple[Any, ...], *arguments: Any
) -> tuple[Tensors, tuple[int | None, ...]]:
    size, needs = info.batch_size, arguments[8]
    folded = [_fold(t, d, size) for t, d in zip(arguments[:6], dimensions[:6], strict=True)]
    grads = torch.ops.sifa.attention_backward.default(*folded, *arguments[6:])
    unfolded = tuple(
        t.unflatten(0, (size, t.shape[0] // size)) if need else t for t, need in zip(grads, needs, strict=True)
    )
    return unfolded, tuple(0 if need else None for need in needs)


def _register_autocast(device_type: str, key: str) -> None:
    """Features go to the autocast type; offsets are taken as they come, and no precision is lost here.

    What comes may be 16 bits already, with positions rounded to them: under autocast the layers' offset convolutions
    give the autocast type. Positions are computed in at least float32 from there on.
    """

    def cast_then_call(
        query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, *settings: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        target = torch.get_autocast_dtype(device_type)
        if query.dtype is not torch.float64:
            query, memory = query.to(target), memory.to(target)
        with torch.autocast(device_type, enabled=False):
            return torch.ops.sifa.attention(query, memory, offset, *settings)

    _LIBRARY.impl("attention", cast_then_call, key)


_register_autocast("cpu", "AutocastCPU")
_register_autocast("cuda", "AutocastCUDA")
