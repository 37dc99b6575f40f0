"""Which frame stands beside which, for maps whose frames are folded into the batch.

Rows are picked by index, which allocates: a shift along time must never copy between overlapping views of one tensor.
Legend: B clips, T frames a clip, C channels, H x W cells.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frame_pairs(count: int, frames: int, end: str, device: torch.device, step: int = 1) -> tuple[Tensor, Tensor]:
    """Row numbers of frame t and of frame t+`step` in a folded batch of `count` = B*T maps, T = `frames`.

    Args:
        count: B*T.
        frames: T.
        end: what the frame without such a neighbour does: "self" pairs it with itself (B*T pairs in all), "skip" leaves
            it out (B*(T-1) pairs).
        device: where the numbers are made.
        step: 1 for the next frame, -1 for the previous one.
    """
    if end == "skip":
        pairs = torch.arange(count // frames * (frames - 1), device=device)
        earlier = pairs + pairs // max(frames - 1, 1)  # every clip has a pair less than it has frames
        return (earlier, earlier + 1) if step == 1 else (earlier + 1, earlier)
    rows = torch.arange(count, device=device)
    return rows, torch.where(_has_no_neighbour(rows, frames, step), rows, rows + step)


def neighbours(x: Tensor, frames: int, step: int) -> Tensor:
    """Frame t+`step` in the place of frame t, [B*T, C, H, W]; where a clip ends, its outermost frame stands in."""
    return x[frame_pairs(x.shape[0], frames, "self", x.device, step)[1]]


def inner_frames(x: Tensor, frames: int, step: int) -> Tensor:
    """[B*T, 1, 1, 1] in x's dtype: 1 where frame t+`step` exists, 0 where the clip ends."""
    rows = torch.arange(x.shape[0], device=x.device)
    return (~_has_no_neighbour(rows, frames, step)).to(x.dtype)[:, None, None, None]


def unfold_clips(x: Tensor, frames: int) -> Tensor:
    """[B*T, C, H, W] -> a view [B, C, T, H, W]; of a channels_last x it is channels_last_3d."""
    return x.unflatten(0, (-1, frames)).transpose(1, 2)


def fold_clips(x: Tensor) -> Tensor:
    """[B, C, T, H, W] -> [B*T, C, H, W]; undoes `unfold_clips`."""
    return x.transpose(1, 2).flatten(0, 1)


def _has_no_neighbour(rows: Tensor, frames: int, step: int) -> Tensor:
    return rows % frames == (frames - 1 if step == 1 else 0)
