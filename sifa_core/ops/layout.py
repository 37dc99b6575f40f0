"""Memory layout: what the native kernels expect of tensors, and allocate.

N images, C channels. Images of a tensor in channels_last may lie any distance apart.
"""

from __future__ import annotations

import torch


def to_channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself if each of its images is dense and channels_last, else a copy that is."""
    _, channels, _, width = tensor.shape
    if tensor.stride()[1:] == (1, width * channels, channels):
        return tensor
    wanted = (1, width * channels, channels)
    sizes, strides = tensor.shape[1:], tensor.stride()[1:]
    if all(size == 1 or stride == want for size, stride, want in zip(sizes, strides, wanted, strict=True)):
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself if it is wholly dense and channels_last, else a copy that is."""
    each = to_channels_last(tensor)
    if each.shape[0] == 1 or each.stride(0) == each[0].numel():
        return each
    return each.contiguous(memory_format=torch.channels_last)


def empty(like: torch.Tensor, channels: int, dtype: torch.dtype) -> torch.Tensor:
    """Room for `channels` channels at each place of `like` [N, _, H, W], channels_last; a tensor, not a view of one."""
    batch, _, height, width = like.shape
    strides = (channels * height * width, 1, width * channels, channels)
    return like.new_empty_strided((batch, channels, height, width), strides, dtype=dtype)
