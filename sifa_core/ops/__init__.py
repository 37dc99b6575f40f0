"""Stand-alone inter-frame attention as one PyTorch operator.

N images, C channels, K = kernel_size**2 taps.
"""

from __future__ import annotations

import torch

from sifa_core.ops import flops, registration  # noqa: F401  (define torch.ops.sifa and its cost)
from sifa_core.ops.backends import backend

__all__ = ["backend", "sifa_attention"]


def sifa_attention(
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    *,
    kernel_size: int = 3,
    scale: str = "mean",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend from every place of one frame to K deformed places of the next (Eq. 1, 6, 7 of the paper).

    The sample for tap i = (ky, kx) is read at (y + ky - k//2 + dy, x + kx - k//2 + dx) with bilinear weights,
    zero outside the map; its attention weight is its dot product with the query times the scale; the aggregate is the
    weighted sum of the samples. The caller adds the query (Eq. 3).

    Args:
        query: [N, C, H, W], frame t. float32, float64, float16 or bfloat16; any strides, channels_last is fastest.
        memory: [N, C, H, W], frame t+1, of query's dtype.
        offset: [N, 2K, H, W] in feature cells; channel 2i is dy and 2i+1 is dx of tap i, taps row by row. A point
            that is not a number, infinite or far outside reads zero.
        kernel_size: side of the square of taps, 1 to 9.
        scale: "mean" divides the dot product by C, "none" leaves it, "softmax" is softmax over taps of "mean".

    Returns:
        aggregate [N, C, H, W] and weights [N, K, H, W], both channels_last and of query's dtype.

    Raises:
        ConfigError: a keyword argument outside its range.
        ModelError: tensors whose shapes, dtypes or devices do not fit.
        UnknownNameError: SIFA_BACKEND names no back end.
    """
    aggregate, weights = torch.ops.sifa.attention(query, memory, offset, kernel_size, scale)
    return aggregate, weights
