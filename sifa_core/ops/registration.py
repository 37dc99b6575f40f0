"""The operator as PyTorch sees it: `torch.ops.sifa.attention` and `torch.ops.sifa.attention_backward`.

Both are opaque to torch.compile and torch.export; shape inference, gradients and autocast are registered here. All
outputs are channels_last whatever the inputs' strides, so that shapes alone determine the layout.

N images, C channels, K taps, G groups.
"""

from __future__ import annotations

from typing import Any

import torch

from sifa_core.errors import ModelError
from sifa_core.ops import backends
from sifa_core.ops.arguments import Settings, check
from sifa_core.ops.layout import empty

_SETTINGS = "int kernel_size, int dilation, int groups, str scale"
_LIBRARY = torch.library.Library("sifa", "DEF")
_LIBRARY.define(
    f"attention(Tensor query, Tensor memory, Tensor offset, {_SETTINGS}) -> (Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_LIBRARY.define(
    "attention_backward(Tensor grad_aggregate, Tensor grad_weights, Tensor query, Tensor memory, Tensor offset, "
    f"Tensor weights, {_SETTINGS}) -> (Tensor, Tensor, Tensor)",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Strides exactly as shape inference promises them, also where a size of 1 would leave a choice."""
    _, channels, height, width = tensor.shape
    if tensor.stride() == (channels * height * width, 1, width * channels, channels):
        return tensor
    return empty(tensor, channels, tensor.dtype).copy_(tensor)


def _attention(
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    kernel_size: int,
    dilation: int,
    groups: int,
    scale: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    settings = Settings(kernel_size, dilation, groups, scale)
    check(query, memory, offset, settings)
    chosen = backends.select(query)
    aggregate, weights = chosen.attention(query, memory, offset, settings)
    return _channels_last(aggregate), _channels_last(weights)


def _attention_backward(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    kernel_size: int,
    dilation: int,
    groups: int,
    scale: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    settings = Settings(kernel_size, dilation, groups, scale)
    _check_backward(grad_aggregate, grad_weights, query, memory, offset, weights, settings)
    chosen = backends.select(query)
    grads = chosen.attention_backward(grad_aggregate, grad_weights, query, memory, offset, weights, settings)
    return _channels_last(grads[0]), _channels_last(grads[1]), _channels_last(grads[2])


def _check_backward(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    settings: Settings,
) -> None:
    check(query, memory, offset, settings)
    batch, _, height, width = query.shape
    weight_shape = (batch, settings.groups * settings.taps, height, width)
    for name, tensor, shape in (
        ("grad_aggregate", grad_aggregate, tuple(query.shape)),
        ("grad_weights", grad_weights, weight_shape),
        ("weights", weights, weight_shape),
    ):
        if tuple(tensor.shape) != shape or tensor.device != query.device or tensor.dtype != query.dtype:
            raise ModelError(f"{name} must be {shape}, {query.dtype} on {query.device}.")


for _name, _function in (("attention", _attention), ("attention_backward", _attention_backward)):
    _LIBRARY.impl(_name, _function, "CompositeExplicitAutograd")


@torch.library.register_fake("sifa::attention", lib=_LIBRARY)
def _attention_fake(
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    kernel_size: int,
    dilation: int,
    groups: int,
    scale: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    settings = Settings(kernel_size, dilation, groups, scale)
    check(query, memory, offset, settings)
    return empty(query, query.shape[1], query.dtype), empty(query, groups * settings.taps, query.dtype)


@torch.library.register_fake("sifa::attention_backward", lib=_LIBRARY)
def _attention_backward_fake(
    grad_aggregate: torch.Tensor,
    grad_weights: torch.Tensor,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    weights: torch.Tensor,
    kernel_size: int,
    dilation: int,
    groups: int,
    scale: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    settings = Settings(kernel_size, dilation, groups, scale)
    _check_backward(grad_aggregate, grad_weights, query, memory, offset, weights, settings)
    return (
        empty(query, query.shape[1], query.dtype),
        empty(memory, memory.shape[1], memory.dtype),
        empty(offset, offset.shape[1], offset.dtype),
    )


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    query, memory, offset, *ctx.settings = inputs
    ctx.save_for_backward(query, memory, offset, output[1])


def _differentiate(ctx: Any, grad_aggregate: torch.Tensor, grad_weights: torch.Tensor) -> tuple[Any, ...]:
    query, memory, offset, weights = ctx.saved_tensors
    grads = torch.ops.sifa.attention_backward(
        grad_aggregate, grad_weights, query, memory, offset, weights, *ctx.settings
    )
    wanted = (grad if need else None for grad, need in zip(grads, ctx.needs_input_grad[:3], strict=True))
    return (*wanted, None, None, None, None)


def _no_second_derivative(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
    raise NotImplementedError("sifa::attention can be differentiated once; for second derivatives use the reference.")


torch.library.register_autograd("sifa::attention", _differentiate, setup_context=_save_for_backward, lib=_LIBRARY)
torch.library.register_autograd("sifa::attention_backward", _no_second_derivative, lib=_LIBRARY)


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
