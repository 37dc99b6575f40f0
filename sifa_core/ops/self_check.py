"""A native back end proves itself on a small random problem before it is trusted with anybody's."""

from __future__ import annotations

from typing import Any

import torch

from sifa_core.ops import dense, reference
from sifa_core.ops.arguments import BackwardInputs, Settings
from sifa_core.ops.build import BuildError, NotReadyError

_NAMES = ("aggregate", "weights", "gradient of query", "gradient of memory", "gradient of offset")
_PROBLEMS = (
    ((2, 24, 6, 5), Settings(kernel_size=3, scale="mean"), False),
    ((1, 34, 4, 7), Settings(kernel_size=2, scale="softmax"), True),
)
"""Shape, settings, whether offsets have the features' data type."""


def check_backend(module: Any, device: torch.device, dtype: torch.dtype) -> str | None:
    """None if `module`'s `attention` and `attention_backward` agree with the reference on `device`, else the reason.

    What may be otherwise at the next call, such as a lack of memory, is no reason and is raised as it comes.
    """
    try:
        for shape, settings, narrow_offsets in _PROBLEMS:
            reason = _compare(module, device, dtype, shape, settings, narrow_offsets)
            if reason:
                return reason
    except NotReadyError:
        raise
    except (BuildError, OSError) as error:
        return str(error)
    return None


def _compare(
    module: Any,
    device: torch.device,
    dtype: torch.dtype,
    shape: tuple[int, int, int, int],
    settings: Settings,
    narrow_offsets: bool,
) -> str | None:
    generator = torch.Generator("cpu").manual_seed(0)

    def normal(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, generator=generator, device="cpu")  # whatever PyTorch's default device is

    query, memory, grad = (t.to(dtype) for t in normal(3, *shape))
    offset = 2 * normal(shape[0], 2 * settings.taps, *shape[2:])
    offset[:, 0, 0, 0] = float("nan")
    offset[:, 1, 0, 1] = 1e4
    offset = offset.to(dtype) if narrow_offsets else offset
    grad_weights = normal(shape[0], settings.taps, *shape[2:]).to(dtype)

    inputs = [t.to(device) for t in (query, memory, offset)]
    aggregate, weights = module.attention(*inputs, settings)
    given = BackwardInputs(grad.to(device), grad_weights.to(device), inputs[0], inputs[1], inputs[2], weights)
    grads = module.attention_backward(given, settings)

    q, m, d = query.double(), memory.double(), offset.double()
    expected = reference.attention(q, m, d, settings)
    # Not the definition's gradient: autograd, which would take it, is off where an operator's own code asks for this.
    exact = BackwardInputs(grad.double(), grad_weights.double(), q, m, d, expected[1])
    expected_grads = dense.attention_backward(exact, settings)
    # Room for two roundings to 16 bits, and for sums of float32 in another order.
    tolerance = max(1e-4, 4 * torch.finfo(dtype).eps)
    for name, ours, theirs in zip(_NAMES, (aggregate, weights, *grads), (*expected, *expected_grads), strict=True):
        if ours is None or theirs is None:
            return f"{name} is missing"
        error = (ours.cpu().double() - theirs).abs().max() / theirs.abs().max()
        if not error <= tolerance:
            return f"{name} is off by {error:.2g} of its largest value, where {tolerance:.2g} is allowed"
    return None
