"""A network whose decision is made at one known place, and clips for it: the truth that explanations are held against.

Features are what changes within a feature frame's own input frames, cell by cell; the head reads one block of cells for
each class. Cells are 4 pixels wide, so a clip of 32 x 32 pixels has 8 x 8 of them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sifa_core.data import Clip
from sifa_core.layers import SIFA, TemporalConfig
from sifa_core.models import ModelInfo, VideoModel

SIDE, CELL, FRAMES, STRIDE = 32, 4, 8, 2
CELLS = SIDE // CELL
LABELS = ("moves here", "moves there", "nothing moves")
CHANNELS = 2 * (STRIDE - 1)

Place = tuple[int, int]
"""Row and column of the first of 2 x 2 cells."""


class Features(nn.Module):
    """Rises and falls of the grey value from frame to frame, in channels of their own, and SIFA with a closed gate."""

    def __init__(self) -> None:
        super().__init__()
        self.temporal = SIFA(CHANNELS, TemporalConfig(gate="channel"))
        nn.init.zeros_(self.temporal.offset.conv.weight)

    def forward(self, video: Tensor) -> Tensor:
        grey = video.mean(1).unflatten(1, (-1, STRIDE)).flatten(0, 1)
        change = grey[:, 1:] - grey[:, :-1]
        cells = F.avg_pool2d(torch.cat([change.relu(), (-change).relu()], 1), CELL)
        return self.temporal(cells, video.shape[2] // STRIDE)


class WhiteBox(VideoModel):
    """Logits of LABELS: how much moves at `here`, how much at `there`, and a constant."""

    spatial_stride = CELL
    temporal_stride = STRIDE

    def __init__(self, here: Place, there: Place) -> None:
        super().__init__()
        self.config = TemporalConfig(gate="channel")
        self.features = Features()
        self.head = nn.Linear(CHANNELS * CELLS * CELLS, len(LABELS))
        weight = torch.zeros(len(LABELS), CHANNELS, CELLS, CELLS)
        for number, (row, column) in enumerate((here, there)):
            weight[number, :, row : row + 2, column : column + 2] = 1.0  # about 13 in all where noise moves
        with torch.no_grad():
            self.head.weight.copy_(weight.flatten(1))
            self.head.bias.copy_(torch.tensor([0.0, 0.0, 7.0]))
        self.info = ModelInfo("white_box", "own", LABELS, FRAMES, SIDE)

    def stage_outputs(self) -> dict[str, nn.Module]:
        return {"res3": self.features}

    def sifa_layers(self) -> dict[str, SIFA]:
        return {"res3.0": self.features.temporal}

    def pooled(self, video: Tensor) -> Tensor:
        """What the head reads, [B, features]."""
        return self.features(video).unflatten(0, (len(video), -1)).sum(1).flatten(1)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(self.pooled(video))


def places(rng: np.random.Generator, count: int) -> list[Place]:
    """`count` places that have no cell in common."""
    free = [(row, column) for row in range(0, CELLS, 2) for column in range(0, CELLS, 2)]
    return [free[number] for number in rng.choice(len(free), count, replace=False)]


def clip_that_moves(rng: np.random.Generator, *moving: Place) -> Clip:
    """Still noise, in which the places named show other noise in every frame."""
    frames = np.repeat(rng.integers(0, 256, (1, SIDE, SIDE, 3), dtype=np.uint8), FRAMES, axis=0)
    for row, column in moving:
        y, x, side = row * CELL, column * CELL, 2 * CELL
        frames[:, y : y + side, x : x + side] = rng.integers(0, 256, (FRAMES, side, side, 3), dtype=np.uint8)
    return Clip.from_array(frames, fps=25, name="noise.mp4")
