"""Inputs and a slow, obvious computation for the operator's tests."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from sifa_core.ops import backend

BACKENDS = ("reference", "dense", "cpu")
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(params=BACKENDS)
def each_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test once per back end that works on a CPU."""
    monkeypatch.setenv("SIFA_BACKEND", request.param)
    assert backend() == request.param
    return request.param


@pytest.fixture
def make_inputs() -> Callable[..., Inputs]:
    """Random query, memory and offset; `spread` is the offsets' standard deviation in cells."""

    def make(
        batch: int = 2,
        channels: int = 6,
        height: int = 5,
        width: int = 7,
        kernel_size: int = 3,
        spread: float = 2.0,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        query, memory = torch.randn(2, batch, channels, height, width, generator=generator, dtype=torch.float64)
        offset = spread * torch.randn(
            batch, 2 * kernel_size**2, height, width, generator=generator, dtype=torch.float64
        )
        return query.to(dtype), memory.to(dtype), offset.to(dtype)

    return make


def _pixel(image: list[list[float]], y: int, x: int) -> float:
    return image[y][x] if 0 <= y < len(image) and 0 <= x < len(image[0]) else 0.0


def _bilinear(image: list[list[float]], y: float, x: float) -> float:
    top, left = math.floor(y), math.floor(x)
    down, right = y - top, x - left
    return (
        (1 - down) * (1 - right) * _pixel(image, top, left)
        + (1 - down) * right * _pixel(image, top, left + 1)
        + down * (1 - right) * _pixel(image, top + 1, left)
        + down * right * _pixel(image, top + 1, left + 1)
    )


def _loops(
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    kernel_size: int,
    scale: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition in Python numbers, one at a time, sharing nothing with the package."""
    batch, channels, height, width = query.shape
    taps = kernel_size**2
    aggregate, weights = torch.zeros_like(query), query.new_zeros(batch, taps, height, width)
    q, m, d = query.tolist(), memory.tolist(), offset.tolist()
    for n in range(batch):
        for y in range(height):
            for x in range(width):
                samples, logits = [], []
                for i in range(taps):
                    at_y = y + i // kernel_size - kernel_size // 2 + d[n][2 * i][y][x]
                    at_x = x + i % kernel_size - kernel_size // 2 + d[n][2 * i + 1][y][x]
                    sample = [_bilinear(m[n][c], at_y, at_x) for c in range(channels)]
                    product = sum(q[n][c][y][x] * value for c, value in enumerate(sample))
                    samples.append(sample)
                    logits.append(product if scale == "none" else product / channels)
                if scale == "softmax":
                    powers = [math.exp(logit - max(logits)) for logit in logits]
                    logits = [power / sum(powers) for power in powers]
                for i, weight in enumerate(logits):
                    weights[n, i, y, x] = weight
                for c in range(channels):
                    aggregate[n, c, y, x] = sum(w * s[c] for w, s in zip(logits, samples, strict=True))
    return aggregate, weights


@pytest.fixture
def loops() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    return _loops
