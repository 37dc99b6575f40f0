"""Operations of the operator for `torch.utils.flop_counter.FlopCounterMode`, which counts two for a multiply-add.

N images, C channels, K taps, P = H*W places; multiply-adds are those of one channel of one tap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from sifa_core.ops import registration  # noqa: F401  (defines torch.ops.sifa)
from sifa_core.ops.arguments import Needs

_SAMPLE, _PRODUCT, _SUM = 4, 1, 1
"""Four corners to interpolate, the product with another map, the sum over taps."""
_SLOPES, _SPREAD = 4, 6
"""Products of gradient and query with the sample's derivatives along y and x; what a place adds to a corner, made of
two products, times four coefficients."""


def _flops(query: Sequence[int], kernel_size: int, multiply_adds: int) -> int:
    images, channels, height, width = query
    return 2 * multiply_adds * images * channels * height * width * kernel_size**2


@register_flop_formula(torch.ops.sifa.attention)
def attention_flops(
    query: Sequence[int], memory: Sequence[int], offset: Sequence[int], kernel_size: int, *_: Any, **__: Any
) -> int:
    """2 * 6 * N*C*P*K."""
    return _flops(query, kernel_size, _SAMPLE + _PRODUCT + _SUM)


@register_flop_formula(torch.ops.sifa.attention_backward)
def attention_backward_flops(
    grad_aggregate: Sequence[int],
    grad_weights: Sequence[int] | None,
    query: Sequence[int],
    memory: Sequence[int],
    offset: Sequence[int],
    weights: Sequence[int],
    kernel_size: int,
    scale: str,
    needs: Needs,
    **_: Any,
) -> int:
    """2 * 16 * N*C*P*K where all three gradients are needed, less where only some are."""
    needed = sum(amount for amount, need in zip((_SUM, _SPREAD, _SLOPES), needs, strict=True) if need)
    return _flops(query, kernel_size, _SAMPLE + _PRODUCT + needed)
