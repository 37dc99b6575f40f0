"""The CPU back end against the reference on random problems, and what only it promises."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sifa_core.ops import build, cpu, reference
from sifa_core.ops.arguments import BackwardInputs, Settings

LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": torch.Tensor.contiguous,
    "channels_last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
    "image slice": lambda t: torch.cat((t, t)).contiguous(memory_format=torch.channels_last)[: len(t)],
    "column slice": lambda t: t.repeat_interleave(2, dim=3)[..., ::2],
}


@st.composite
def problems(draw: st.DrawFn) -> tuple[Settings, tuple[torch.Tensor, ...], list[torch.Tensor], list[str]]:
    shape = (
        draw(st.integers(1, 3)),
        draw(st.one_of(st.integers(1, 5), st.integers(15, 35), st.integers(60, 140))),
        draw(st.integers(1, 9)),
        draw(st.integers(1, 9)),
    )
    choice = Settings(
        kernel_size=draw(st.integers(1, 5)),
        scale=draw(st.sampled_from(["mean", "none", "softmax"])),
    )
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    query, memory = torch.randn(2, *shape, generator=generator)
    offset = torch.randn(shape[0], 2 * choice.taps, *shape[2:], generator=generator)
    offset = draw(st.sampled_from([0.1, 1.0, 5.0])) * offset
    # Away from whole cells, so that rounding the sum of place and offset cannot step into the next cell.
    offset = offset.floor() + (offset - offset.floor()).clamp(1e-3, 1 - 1e-3)
    layouts = [draw(st.sampled_from(sorted(LAYOUTS))) for _ in range(3)]
    directions = [torch.randn(size, generator=generator) for size in (shape, (shape[0], choice.taps, *shape[2:]))]
    return choice, (query, memory, offset), directions, layouts


def run(
    module: object, choice: Settings, inputs: list[torch.Tensor], directions: list[torch.Tensor]
) -> list[torch.Tensor]:
    aggregate, weights = module.attention(*inputs, choice)
    grads = module.attention_backward(BackwardInputs(*directions, *inputs, weights), choice)
    return [aggregate, weights, *grads]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(problem=problems())
def test_equals_reference_on_random_problems(problem: tuple) -> None:
    choice, inputs, directions, layouts = problem
    arranged = [LAYOUTS[name](t) for name, t in zip(layouts, inputs, strict=True)]
    ours = run(cpu, choice, arranged, directions)
    single = run(reference, choice, list(inputs), directions)
    exact = run(reference, choice, [t.double() for t in inputs], [t.double() for t in directions])
    for a, b, c in zip(ours, exact, single, strict=True):
        # Where a sum cancels, float32 itself is further off than 1e-5: then ours may err as much as the reference does.
        rounding = (c.double() - b).abs().max()
        assert (a.double() - b).abs().max() <= torch.maximum(1e-5 * b.abs().max(), 2 * rounding)


@pytest.mark.parametrize("channels", [1, 15, 16, 33, 64])
@pytest.mark.parametrize("images", [1, 3])
def test_same_bits_for_any_number_of_threads(make_inputs: Callable, channels: int, images: int) -> None:
    inputs = make_inputs(images, channels, 9, 8, dtype=torch.float32)
    choice = Settings(3, "mean")
    directions = [torch.randn(inputs[0].shape), torch.randn(images, 9, 9, 8)]
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            results.append(run(cpu, choice, list(inputs), directions))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_16_bit_number_is_read_and_written_as_torch_does(dtype: torch.dtype) -> None:
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    numbers = numbers[numbers.isfinite()].view(1, 1, 1, -1)
    numbers = torch.cat((numbers, numbers, numbers), dim=1).repeat(1, 7, 1, 1)  # 21 channels: vectors and a remainder
    offset = torch.zeros(1, 2, 1, numbers.shape[3])
    one = torch.ones_like(numbers) / 21
    weights = torch.zeros(1, 1, 1, numbers.shape[3], dtype=dtype)
    choice = Settings(1, "softmax")
    aggregate, _ = cpu.attention(one, numbers, offset, choice)  # softmax over one tap: the aggregate is the sample
    assert torch.equal(aggregate, numbers)
    modest = torch.where(numbers.abs() < 1e15, numbers, 1)  # whose products with each other are finite
    given = BackwardInputs(modest, weights, one, modest, offset, torch.ones_like(weights))
    grads = cpu.attention_backward(given, choice)
    assert torch.equal(grads[1], modest)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_results_round_to_nearest_even(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    pair = (10 ** torch.empty(2, 1, 16, 1, 4000).uniform_(-7, 4, generator=generator)).to(dtype)
    memory = torch.stack((pair[0], pair[1]), dim=-1).flatten(3)
    offset = torch.zeros(1, 2, 1, 8000)
    offset[:, 1] = 0.5
    choice = Settings(1, "softmax")
    aggregate, _ = cpu.attention(torch.zeros_like(memory), memory, offset, choice)
    exact = (pair[0].float() + pair[1].float()) / 2
    assert torch.equal(aggregate[..., ::2], exact.to(dtype))


def test_nan_features_stay_where_they_are_read() -> None:
    memory = torch.zeros(1, 20, 1, 8)
    memory[..., 5] = float("nan")
    aggregate, weights = cpu.attention(torch.ones_like(memory), memory, torch.zeros(1, 2, 1, 8), Settings(1, "mean"))
    # Place 4 reads cell 5 with coefficient zero, and zero times NaN is NaN, as in PyTorch.
    assert weights.isnan().flatten().tolist() == [False] * 4 + [True] * 2 + [False] * 2
    assert not aggregate[..., :4].any()


def test_images_more_than_2_to_the_31_elements_apart() -> None:
    """Two images in one mostly untouched allocation; the pages between them are never read."""
    spacing = 2**31 + 64
    storage = torch.empty(spacing + 16 * 20, dtype=torch.bfloat16)
    far = storage.as_strided((2, 16, 4, 5), (spacing, 1, 80, 16))
    near = torch.randn(2, 16, 4, 5).bfloat16()
    far.copy_(near)
    offset = torch.randn(2, 18, 4, 5)
    choice = Settings(3, "mean")
    directions = [torch.randn(2, 16, 4, 5).bfloat16(), torch.randn(2, 9, 4, 5).bfloat16()]
    for a, b in zip(
        run(cpu, choice, [far, far, offset], directions),
        run(cpu, choice, [near, near, offset], directions),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_no_implicit_narrowing_anywhere() -> None:
    """Indices are 64 bits wide throughout: the compiler finds no conversion to fewer bits that is not written out."""
    compiler = build.find_compiler()
    if shutil.which(compiler[0]) is None:
        pytest.skip("no C++ compiler")
    source = build.KERNELS / "cpu/library.cpp"
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-psabi", "-fopenmp"]
    result = subprocess.run([*compiler, *flags, str(source)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
