"""Every back end against computations that share no code with it: Python loops, grid_sample and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from sifa_core.ops import sifa_attention

SETTINGS = [
    {"kernel_size": 3, "scale": "mean"},
    {"kernel_size": 1, "scale": "none"},
    {"kernel_size": 3, "scale": "softmax"},
    {"kernel_size": 2, "scale": "mean"},
    {"kernel_size": 5, "scale": "none"},
]


def with_grid_sample(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, kernel_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, channels, height, width = query.shape
    tap = torch.arange(kernel_size**2)
    tap_y = (tap // kernel_size - kernel_size // 2).view(1, -1, 1, 1)
    tap_x = (tap % kernel_size - kernel_size // 2).view(1, -1, 1, 1)
    y = offset[:, 0::2] + tap_y + torch.arange(height).view(1, 1, height, 1)
    x = offset[:, 1::2] + tap_x + torch.arange(width).view(1, 1, 1, width)
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    grid = grid.view(batch, kernel_size**2 * height, width, 2)
    samples = F.grid_sample(memory, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    samples = samples.view(batch, channels, kernel_size**2, height, width)
    weights = (query[:, :, None] * samples).mean(1)
    return (weights[:, None] * samples).sum(2), weights


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_python_loops(
    each_backend: str, make_inputs: Callable, loops: Callable, settings: dict, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = make_inputs(kernel_size=settings["kernel_size"], height=4, width=5)
    expected = loops(*inputs, **settings)
    for ours, theirs in zip(sifa_attention(*(t.to(dtype) for t in inputs), **settings), expected, strict=True):
        assert ours.dtype is dtype
        assert (ours - theirs).abs().max() <= tolerance * max(1.0, theirs.abs().max().item())


@pytest.mark.parametrize("kernel_size", [1, 3, 4, 9])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equals_grid_sample_with_gradients(
    each_backend: str, make_inputs: Callable, kernel_size: int, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = make_inputs(kernel_size=kernel_size, channels=16, height=9, width=8)
    theirs_in = [t.clone().requires_grad_() for t in inputs]
    theirs = with_grid_sample(*theirs_in, kernel_size)
    ours_in = [t.to(dtype).requires_grad_() for t in inputs]
    ours = sifa_attention(*ours_in, kernel_size=kernel_size)
    directions = [torch.randn_like(t) for t in theirs]
    theirs_grads = torch.autograd.grad(theirs, theirs_in, directions)
    ours_grads = torch.autograd.grad(ours, ours_in, [t.to(dtype) for t in directions])
    for a, b in zip((*ours, *ours_grads), (*theirs, *theirs_grads), strict=True):
        assert (a - b).abs().max() <= tolerance * b.abs().max()


@pytest.mark.parametrize("scale", ["mean", "none", "softmax"])
def test_gradcheck(each_backend: str, make_inputs: Callable, scale: str) -> None:
    query, memory, offset = make_inputs(batch=1, channels=4, height=3, width=4)
    # Bilinear interpolation has kinks at integers, where finite differences mean nothing: stay between them.
    offset = offset.floor() + 0.1 + 0.8 * torch.rand(offset.shape, dtype=offset.dtype)
    inputs = [t.requires_grad_() for t in (query, memory, offset)]
    assert torch.autograd.gradcheck(lambda *t: sifa_attention(*t, scale=scale), inputs)


def test_slope_at_whole_cells_is_that_of_the_cell_to_the_lower_right(each_backend: str) -> None:
    """Zero offsets are where training starts, so their gradient is a convention that must not drift."""
    memory = torch.tensor([0.0, 1.0, 4.0, 9.0], dtype=torch.float64).view(1, 1, 1, 4)
    offset = torch.zeros(1, 2, 1, 4, dtype=torch.float64, requires_grad=True)
    aggregate, _ = sifa_attention(torch.ones_like(memory), memory, offset, kernel_size=1, scale="none")
    aggregate.sum().backward()
    # The aggregate is <1, v> v = v**2, whose slope is 2 v v'; v' is the step to the right, 0 - 9 at the last cell.
    expected_x = 2 * memory * torch.tensor([1.0, 3.0, 5.0, -9.0], dtype=torch.float64)
    torch.testing.assert_close(offset.grad[:, 1:], expected_x)
    torch.testing.assert_close(offset.grad[:, :1], 2 * memory * (0 - memory))


def test_a_point_one_cell_outside_still_feels_the_border(each_backend: str) -> None:
    memory = torch.tensor([3.0, 5.0], dtype=torch.float64).view(1, 1, 1, 2)
    offset = torch.tensor([[[0.0]], [[-1.0]]], dtype=torch.float64).view(1, 2, 1, 1).repeat(1, 1, 1, 2)
    offset.requires_grad_()
    aggregate, weights = sifa_attention(torch.ones_like(memory), memory, offset, kernel_size=1, scale="none")
    assert weights.flatten().tolist() == [0.0, 3.0]
    (grad,) = torch.autograd.grad(weights.sum(), offset)
    assert grad[0, 1, 0].tolist() == [3.0, 2.0]
    assert aggregate.flatten().tolist() == [0.0, 9.0]
