"""One process of a data-parallel step: python train_rank.py RANK WORLD STORE RESULT; rank 0 saves the gradients."""

import sys

import torch
from torch import nn

from sifa_core.ops import backend, sifa_attention


class Block(nn.Module):
    """Two convolutions and the operator."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(8, 18, 3, padding=1)
        self.mix = nn.Conv2d(8, 8, 1)

    def forward(self, frame: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        query, memory = self.mix(frame), self.mix(following)
        aggregate, _ = sifa_attention(query, memory, self.offset(memory - query))
        return query + aggregate


def main() -> None:
    """Each rank takes its share of four images; the loss is a mean, so averaged gradients are those of the whole."""
    rank, world, store, result = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    if backend() != "cpu":
        raise SystemExit("the native back end is what this is about")
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    torch.manual_seed(0)
    frames = torch.randn(2, 4, 8, 6, 5)
    block = nn.parallel.DistributedDataParallel(Block())
    block(*frames[:, rank::world]).square().mean().backward()
    if rank == 0:
        torch.save([parameter.grad for parameter in block.module.parameters()], result)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
