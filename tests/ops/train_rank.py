"""One process of a data-parallel step."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from sifa_core.ops import backend, sifa_attention


class Block(nn.Module):
    """Offsets from a convolution, then the operator: the smallest model that trains all three inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(8, 18, 3, padding=1)
        self.mix = nn.Conv2d(8, 8, 1)

    def forward(self, frame: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        query, memory = self.mix(frame), self.mix(following)
        aggregate, _ = sifa_attention(query, memory, self.offset(memory - query))
        return query + aggregate


def problem() -> tuple[nn.Module, torch.Tensor]:
    """The block, and four images and the ones that follow them: [2, 4, C, H, W]."""
    torch.manual_seed(0)
    frames = torch.randn(2, 4, 8, 6, 5)
    return Block(), frames


def step(store: Path, result: Path) -> nn.Module:
    """Each rank takes its share of the images; the loss is a mean, so averaged gradients are those of the whole.

    Rank 0 saves the gradients as `result`. Returns what must live until the process ends.
    """
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    assert backend() == "cpu", "the native back end is what this is about"
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    block, frames = problem()
    block = nn.parallel.DistributedDataParallel(block)
    block(*frames[:, rank::world]).square().mean().backward()
    if rank == 0:
        torch.save([parameter.grad for parameter in block.module.parameters()], result)
    torch.distributed.barrier()
    return block
