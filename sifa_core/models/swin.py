"""Swin (Liu et al. 2021) applied frame by frame, with a temporal module after the window attention of chosen blocks.

Parameter names are timm's for its Swin, so ImageNet weights load by name. Stages are numbered i = 0..3 (res2 to res5):

    patch_embed.proj.{weight,bias}                 weight [C, 3, s, 4, 4]: inflated along time from timm's [C, 3, 4, 4]
    patch_embed.norm.{weight,bias}
    layers.i.downsample.norm.{weight,bias}         i = 1..3: patches are merged where a stage begins
    layers.i.downsample.reduction.weight
    layers.i.blocks.j.norm1.{weight,bias}          norm2 alike
    layers.i.blocks.j.attn.relative_position_bias_table    ((2w-1)^2, heads)
    layers.i.blocks.j.attn.qkv.{weight,bias}       proj alike
    layers.i.blocks.j.mlp.fc1.{weight,bias}        fc2 alike
    norm.{weight,bias}
    head.fc.{weight,bias}
    layers.i.blocks.j.temporal.*                   the temporal module, not in timm

Between modules a map is [N, C, H, W] in channels_last, so that taking it as tokens [N, H, W, C] copies nothing.
Legend: B clips, T feature frames, N = B*T maps, C channels, H x W cells, w window side, L = w*w cells of a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 4
"""Side of a patch in pixels."""


class PatchEmbed(nn.Module):
    """Patches of s x 4 x 4 pixels (frames, rows, columns) to vectors; s is the temporal stride.

    Patches do not overlap, so it is computed as a 2D convolution over s frames stacked as channels.
    """

    def __init__(self, channels: int, temporal_stride: int, norm: bool = True) -> None:
        super().__init__()
        size = (temporal_stride, PATCH, PATCH)
        self.temporal_stride = temporal_stride
        self.proj = nn.Conv3d(3, channels, size, stride=size)
        self.norm = nn.LayerNorm(channels) if norm else nn.Identity()

    def forward(self, video: Tensor) -> Tensor:
        """[B, 3, T*s, H, W] -> [B*T, C, H/4, W/4], rounded up.

        Patches that are not full repeat the last frame and are zero below and right of the picture.
        """
        missing = -video.shape[2] % self.temporal_stride
        if missing:
            video = torch.cat([video, video[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
        windows = video.unflatten(2, (-1, self.temporal_stride)).permute(0, 2, 4, 5, 1, 3)  # [B, T, H, W, 3, s]
        stacked = windows.flatten(4).flatten(0, 1).permute(0, 3, 1, 2)  # one copy, channels_last
        stacked = F.pad(stacked, (0, -stacked.shape[3] % PATCH, 0, -stacked.shape[2] % PATCH))
        patches = F.conv2d(stacked, self.proj.weight.flatten(1, 2), self.proj.bias, stride=PATCH)
        return to_map(self.norm(to_tokens(patches)))


class PatchMerging(nn.Module):
    """2 x 2 neighbours side by side, normalised and projected: half the resolution, twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, 2C, H/2, W/2], rounded up; an odd side is padded with zeros."""
        tokens = to_tokens(x)
        tokens = F.pad(tokens, (0, 0, 0, tokens.shape[2] % 2, 0, tokens.shape[1] % 2))
        pairs = tokens.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # [N, H/2, 2, W/2, 2, C]
        neighbours = pairs.permute(0, 1, 3, 4, 2, 5).flatten(3)  # column by column, as in Swin's weights
        return to_map(self.reduction(self.norm(neighbours)))


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows of w x w cells, with a relative position bias (Swin, section 3.2).

    With `shift` the windows start that many cells up and left. An axis that fits into one window is not shifted.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int = 0) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index(window), persistent=False)
        self.relative_position_index: Tensor
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """[N, H, W, C] -> [N, H, W, C]. Windows that reach over the edge are padded and see no padding."""
        count, height, width, _ = tokens.shape
        shifts = [self.shift if side > self.window else 0 for side in (height, width)]
        rows, columns = (-(-side // self.window) for side in (height, width))
        tokens = F.pad(tokens, (0, 0, 0, columns * self.window - width, 0, rows * self.window - height))
        tokens = tokens.roll((-shifts[0], -shifts[1]), (1, 2)) if any(shifts) else tokens
        parts = tokens.unflatten(2, (columns, self.window)).unflatten(1, (rows, self.window))
        windows = parts.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(0, 2)  # [N*windows, L, C]

        query, key, value = self.qkv(windows).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self._bias(height, width, shifts, count).to(query.dtype)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        windows = self.proj(attended.transpose(1, 2).flatten(2))

        parts = windows.unflatten(1, (self.window, self.window)).unflatten(0, (count, rows, columns))
        tokens = parts.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        tokens = tokens.roll((shifts[0], shifts[1]), (1, 2)) if any(shifts) else tokens
        return tokens[:, :height, :width]

    def _bias(self, height: int, width: int, shifts: list[int], count: int) -> Tensor:
        """What is added to the scores: [1, heads, L, L], or [N*windows, heads, L, L] where cells must not meet."""
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if not any(shifts) and height % self.window == 0 and width % self.window == 0:
            return bias
        regions = window_regions(height, width, self.window, shifts, bias.device)
        apart = regions[:, :, None] != regions[:, None, :]
        return bias.masked_fill(apart[:, None], float("-inf")).expand(count, -1, -1, -1, -1).flatten(0, 1)


def relative_position_index(window: int) -> Tensor:
    """[L, L]: for a query cell and a key cell of a window, the row of the bias table that belongs to their distance."""
    rows, columns = torch.arange(window).repeat_interleave(window), torch.arange(window).repeat(window)
    vertical = rows[:, None] - rows[None, :] + window - 1
    horizontal = columns[:, None] - columns[None, :] + window - 1
    return vertical * (2 * window - 1) + horizontal


def window_regions(height: int, width: int, window: int, shifts: list[int], device: torch.device) -> Tensor:
    """[windows, L]: the region of every cell of the padded and rolled map. Only cells of one region may attend.

    A region is a window of the shifted grid; rolling brings up to four of them together in one. Padding has its own.
    """
    by_row, by_column = (
        _axis_regions(side, window, shift, device) for side, shift in zip((height, width), shifts, strict=True)
    )
    regions = by_row[:, None] * len(by_column) + by_column[None, :]
    regions = regions.masked_fill((by_row < 0)[:, None] | (by_column < 0)[None, :], -1)
    parts = regions.unflatten(1, (-1, window)).unflatten(0, (-1, window))
    return parts.transpose(1, 2).flatten(2).flatten(0, 1)


def _axis_regions(side: int, window: int, shift: int, device: torch.device) -> Tensor:
    position = torch.arange(-(-side // window) * window, device=device)
    region = (position + window - shift) // window
    return region.masked_fill(position >= side, -1).roll(-shift)


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> [..., C]."""
        return self.fc2(F.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """Window attention, temporal module, MLP; attention and MLP are residual and normalised first (paper, Fig. 4b).

    The temporal module sees the map that the window attention was added to, and adds to it itself.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        shift: int,
        mlp_ratio: float,
        drop_path: float,
        temporal: nn.Module | None,
    ) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window, shift)
        self.temporal = temporal
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> the same shape; T = `frames`."""
        tokens = to_tokens(x)
        tokens = tokens + self._drop(self.attn(self.norm1(tokens)), frames)
        if self.temporal is not None:
            tokens = to_tokens(self.temporal(to_map(tokens), frames))
        tokens = tokens + self._drop(self.mlp(self.norm2(tokens)), frames)
        return to_map(tokens)

    def _drop(self, branch: Tensor, frames: int) -> Tensor:
        """Stochastic depth (Huang et al. 2016). All frames of a clip share their fate: a branch that is there in one
        frame and not in the next would look like motion."""
        if not self.training or self.drop_path == 0:
            return branch
        stays = torch.rand(branch.shape[0] // frames, device=branch.device) >= self.drop_path
        factor = stays.to(branch.dtype) / (1 - self.drop_path)
        return branch * factor.repeat_interleave(frames)[:, None, None, None]


class SwinStage(nn.Module):
    """Patch merging (but in the first stage), then blocks."""

    def __init__(self, downsample: nn.Module, blocks: list[SwinBlock]) -> None:
        super().__init__()
        self.downsample = downsample
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W] -> [B*T, C or 2C, H or H/2, W or W/2]; T = `frames`."""
        x = self.downsample(x)
        for block in self.blocks:
            x = block(x, frames)
        return x


class Head(nn.Module):
    """Mean over cells and frames, dropout, one linear layer."""

    def __init__(self, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.fc = nn.Linear(channels, classes)

    def forward(self, tokens: Tensor, frames: int) -> Tensor:
        """[B*T, H, W, C] -> logits [B, classes]; T = `frames`."""
        pooled = tokens.mean(dim=(1, 2)).unflatten(0, (-1, frames)).mean(dim=1)
        return self.fc(F.dropout(pooled, self.dropout, self.training))


def to_tokens(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H, W, C], a view."""
    return x.permute(0, 2, 3, 1)


def to_map(tokens: Tensor) -> Tensor:
    """[N, H, W, C] -> [N, C, H, W], a view."""
    return tokens.permute(0, 3, 1, 2)
