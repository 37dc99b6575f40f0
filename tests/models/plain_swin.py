"""A Swin written straight from its paper, cell by cell: slow, obvious, and independent of the package's.

It takes a state dict in timm's names and runs one clip, frame by frame; `between` stands for whatever the video model
does after the window attention of a block, over all frames. Maps are [T, H, W, C].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Between = Callable[[str, Tensor], Tensor]


def plain_swin(
    state: Mapping[str, Tensor],
    video: Tensor,
    *,
    depths: Sequence[int],
    heads: Sequence[int],
    window: int,
    between: Between = lambda name, x: x,
) -> Tensor:
    """(3, T, H, W) -> logits (classes,)."""
    weight = state["patch_embed.proj.weight"]
    x = embed(video, weight, state["patch_embed.proj.bias"])
    if "patch_embed.norm.weight" in state:
        x = norm(state, "patch_embed.norm", x)
    for stage, depth in enumerate(depths):
        if stage > 0:
            x = torch.stack([merge(state, f"layers.{stage}.downsample", frame) for frame in x])
        for position in range(depth):
            name, shift = f"layers.{stage}.blocks.{position}", window // 2 if position % 2 else 0
            normed = norm(state, f"{name}.norm1", x)
            x = x + torch.stack([attend(state, f"{name}.attn", frame, heads[stage], window, shift) for frame in normed])
            x = between(name, x)
            hidden = F.gelu(linear(state, f"{name}.mlp.fc1", norm(state, f"{name}.norm2", x)))
            x = x + linear(state, f"{name}.mlp.fc2", hidden)
    return linear(state, "head.fc", norm(state, "norm", x).mean((0, 1, 2)))


def linear(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    y = x @ state[f"{name}.weight"].T
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def norm(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def embed(video: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """[3, T*s, H, W] -> [T, H/4, W/4, C]: every patch of s x 4 x 4 pixels times the weights."""
    channels, _, stride, size, _ = weight.shape
    _, length, height, width = video.shape
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    out = video.new_zeros(math.ceil(length / stride), rows, columns, channels)
    for t in range(out.shape[0]):
        frames = video[:, [min(t * stride + i, length - 1) for i in range(stride)]]
        for row in range(rows):
            for column in range(columns):
                patch = video.new_zeros(3, stride, size, size)
                piece = frames[:, :, row * size : (row + 1) * size, column * size : (column + 1) * size]
                patch[:, :, : piece.shape[2], : piece.shape[3]] = piece
                out[t, row, column] = weight.flatten(1) @ patch.flatten() + bias
    return out


def merge(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """(H, W, C) -> (H/2, W/2, 2C): the four neighbours in the order up-left, down-left, up-right, down-right."""
    height, width, channels = x.shape
    out = []
    for row in range(0, height, 2):
        for column in range(0, width, 2):
            for c, r in ((column, row), (column, row + 1), (column + 1, row), (column + 1, row + 1)):
                out.append(x[r, c] if r < height and c < width else x.new_zeros(channels))
    four = torch.stack(out).reshape(math.ceil(height / 2), math.ceil(width / 2), 4 * channels)
    return norm(state, f"{name}.norm", four) @ state[f"{name}.reduction.weight"].T


def groups(height: int, width: int, window: int, shift: int) -> list[list[tuple[int, int]]]:
    """The cells of every window of the grid that starts `shift` cells up and left; an axis within one window keeps."""
    shift_y, shift_x = (shift if side > window else 0 for side in (height, width))
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y in range(height):
        for x in range(width):
            found.setdefault(((y + window - shift_y) // window, (x + window - shift_x) // window), []).append((y, x))
    return list(found.values())


def attend(state: Mapping[str, Tensor], name: str, x: Tensor, heads: int, window: int, shift: int) -> Tensor:
    """(H, W, C) -> (H, W, C): attention of every cell over the cells of its window."""
    height, width, channels = x.shape
    query, key, value = linear(state, f"{name}.qkv", x).split(channels, dim=-1)
    table, size = state[f"{name}.relative_position_bias_table"], channels // heads
    out = torch.zeros_like(x)
    for cells in groups(height, width, window, shift):
        y, c = (torch.tensor(side) for side in zip(*cells, strict=True))
        rows = (y[:, None] - y[None, :] + window - 1) * (2 * window - 1) + c[:, None] - c[None, :] + window - 1
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = query[y, c, part] @ key[y, c, part].T / math.sqrt(size) + table[rows, head]
            out[y, c, part] = scores.softmax(-1) @ value[y, c, part]
    return linear(state, f"{name}.proj", out)
