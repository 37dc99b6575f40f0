"""Runs the GPU kernels (cuda/gpu) on PyTorch's tensors: chooses constants, compiles, launches.

N images, C channels, K taps, P = H*W places. Kernels are specialised by data types, C, kernel size and scale, and by
how many lanes of a warp share a place.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import torch

from sifa_core.ops import driver, nvrtc
from sifa_core.ops.arguments import ALL, BackwardInputs, Gradients, Needs, Settings
from sifa_core.ops.build import BuildError, NotReadyError, problem_structure
from sifa_core.ops.layout import dense, empty, to_channels_last

STORAGE = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
"""Data types that the kernels store, by the number the source knows them as."""
MAX_CHANNELS = 1024
"""A lane keeps at most 32 numbers of a map in registers, and 32 lanes share a place."""
STRIP = 4
"""Places are worked on in strips of so many columns, so that a block's places are a patch and sample the same cells."""
WARPS_WANTED = 8
"""Warps per multiprocessor below which more lanes share a place."""
TILE_COLUMNS = 7
_MAX_GROUPS = 1024


class Division(NamedTuple):
    """How a kernel shares out its work; the values in use were the fastest of those tried on an H100."""

    numbers: int
    """Channels of a place that a lane takes at most, where there are lanes enough."""
    threads: int
    """Threads of a block."""


FORWARD, BACKWARD = Division(16, 128), Division(16, 128)


class Constants(NamedTuple):
    """What a kernel is compiled for; each becomes a macro of the same name."""

    storage: int
    offset: int
    kernel: int
    softmax: int
    channels: int
    vector: int
    lanes: int
    rows: int
    wide: int
    threads: int

    def options(self) -> list[str]:
        """The compiler's -D options."""
        return [f"-DSIFA_{name.upper()}={value}" for name, value in self._asdict().items()]


def widest_load(dtype: torch.dtype, alignment: int) -> int:
    """Channels per load: what 16 bytes hold, or less where `alignment`, any multiple of all addresses, has less."""
    return max(1, min(16, alignment & -alignment) // dtype.itemsize)


def lanes_per_place(channels: int, vector: int, places: int, multiprocessors: int, numbers: int = 16) -> int:
    """8, 16 or 32: as few as take `numbers` channels each, more while that leaves multiprocessors without work."""
    lanes = 8
    while lanes < 32 and lanes * numbers < channels:
        lanes *= 2
    while lanes < 32 and lanes * vector < channels and places * lanes < multiprocessors * 32 * WARPS_WANTED:
        lanes *= 2
    return lanes


def tile_rows(tiles: int, multiprocessors: int) -> int:
    """Rows of a tile of the memory gradient, where 7 rows make `tiles` tiles: one while many multiprocessors idle.

    Two rows were faster than four and seven on an H100 at every shape, 4 to 56 frame pairs, res3 to res5.
    """
    return 2 if 4 * tiles >= multiprocessors else 1


def constants(
    settings: Settings,
    dtype: torch.dtype,
    offset_dtype: torch.dtype,
    shape: tuple[int, ...],
    alignment: int = 16,
    multiprocessors: int = 100,
    division: Division = FORWARD,
) -> Constants:
    """Constants for query of `shape` [N, C, H, W]. Raises BuildError for more than MAX_CHANNELS channels."""
    images, channels, height, width = shape
    if channels > MAX_CHANNELS:
        raise BuildError(f"its GPU kernels take at most {MAX_CHANNELS} channels, not {channels}")
    places = images * height * width
    vector = widest_load(dtype, alignment | channels * dtype.itemsize)
    tiles = images * -(-height // 7) * -(-width // TILE_COLUMNS) * -(-channels // 128)
    return Constants(
        storage=STORAGE[dtype],
        offset=STORAGE[offset_dtype],
        kernel=settings.kernel_size,
        softmax=int(settings.scale == "softmax"),
        channels=channels,
        vector=vector,
        lanes=lanes_per_place(channels, vector, places, multiprocessors, division.numbers),
        rows=tile_rows(tiles, multiprocessors),
        wide=int(places * max(channels, 2 * settings.taps) >= 2**31),
        threads=division.threads if settings.taps <= 9 else 128,  # more taps take more shared memory
    )


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


_FUNCTIONS: dict[tuple[str, Constants, torch.device], ctypes.c_void_p | BuildError] = {}


def _function(source: str, kernel: str, chosen: Constants, device: torch.device) -> Any:
    """The kernel, compiled and loaded at its first use. What cannot be built is not tried again."""
    key = (source, chosen, device)
    if key not in _FUNCTIONS:
        if torch.cuda.is_current_stream_capturing():
            raise NotReadyError(
                "its first call for a shape came while a CUDA graph was captured; make one call before that"
            )
        try:
            architecture = nvrtc.target(driver.capability(device))
            binary = nvrtc.compile_kernels(source, chosen.options(), architecture)
        except BuildError as error:
            _FUNCTIONS[key] = error
        else:
            _FUNCTIONS[key] = driver.load(binary, kernel, device)
    found = _FUNCTIONS[key]
    if isinstance(found, BuildError):
        raise found
    return found


def _launch(
    source: str,
    kernel: str,
    chosen: Constants,
    grid: tuple[int, int],
    arguments: tuple[ctypes.Structure | torch.Tensor | None, ...],
    device: torch.device,
) -> None:
    function = _function(source, kernel, chosen, device)
    driver.launch(function, kernel, device, *grid, arguments)


def _offset(offset: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Offsets of a type that the kernels read: float32 or the features' own."""
    return to_channels_last(offset if offset.dtype in (dtype, torch.float32) else offset.float())


def _prepare(
    division: Division,
    settings: Settings,
    query: torch.Tensor,
    memory: torch.Tensor,
    offset: torch.Tensor,
    *others: torch.Tensor,
) -> tuple[Constants, ctypes.Structure]:
    images, channels, height, width = query.shape
    alignment = (query.stride(0) | memory.stride(0)) * query.itemsize
    for tensor in (query, memory, *others):
        alignment |= tensor.data_ptr()
    multiprocessors = _multiprocessors(query.device)
    chosen = constants(settings, query.dtype, offset.dtype, query.shape, alignment, multiprocessors, division)
    problem = problem_structure("gpu")(
        images=images,
        height=height,
        width=width,
        strip=min(STRIP, width),
        group=32 * -(-height * width // (32 * _MAX_GROUPS)),
        query_stride=query.stride(0),
        memory_stride=memory.stride(0),
        offset_stride=offset.stride(0),
        factor=settings.factor(channels),
    )
    return chosen, problem


def _grid_of_places(chosen: Constants, query: torch.Tensor) -> tuple[int, int]:
    """Blocks and threads that give every place of `query` its lanes."""
    images, _, height, width = query.shape
    return -(-images * height * width // (chosen.threads // chosen.lanes)), chosen.threads


def attention(
    query: torch.Tensor, memory: torch.Tensor, offset: torch.Tensor, settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Aggregate [N, C, H, W] and weights [N, K, H, W]."""
    query, memory, offset = to_channels_last(query), to_channels_last(memory), _offset(offset, query.dtype)
    aggregate = empty(query, query.shape[1], query.dtype)
    weights = empty(query, settings.taps, query.dtype)
    chosen, problem = _prepare(FORWARD, settings, query, memory, offset, aggregate)
    arguments = (problem, query, memory, offset, aggregate, weights)
    grid = _grid_of_places(chosen, query)
    _launch("forward.cu", "sifa_forward", chosen._replace(rows=7), grid, arguments, query.device)
    return aggregate, weights


def attention_backward(given: BackwardInputs, settings: Settings, needs: Needs = ALL) -> Gradients:
    """Gradients of query, memory and offset.

    They have the same bits every time: nothing is added up in an order that is left open.
    """
    grad_aggregate, grad_weights, query, memory, offset, weights = given
    offset_dtype = offset.dtype
    query, memory, offset = to_channels_last(query), to_channels_last(memory), _offset(offset, query.dtype)
    grad, weights = dense(grad_aggregate), dense(weights)
    grad_weights = None if grad_weights is None else dense(grad_weights)
    grad_query, grad_memory = (empty(query, query.shape[1], query.dtype) for _ in range(2))
    grad_offset = empty(query, offset.shape[1], offset.dtype)
    grad_logits = empty(query, settings.taps, torch.float32)
    chosen, problem = _prepare(BACKWARD, settings, query, memory, offset, grad, grad_query, grad_memory)

    images, _, height, width = query.shape
    tiles = images * -(-height // chosen.rows) * -(-width // TILE_COLUMNS)
    groups = -(-height * width // problem.group)
    reached = torch.zeros(tiles * groups, dtype=torch.uint8, device=query.device) if needs[1] else None
    outputs = (grad_query, grad_offset, grad_logits, reached)
    arguments = (problem, query, memory, offset, grad, grad_weights, weights, *outputs)
    _launch("backward.cu", "sifa_backward", chosen, _grid_of_places(chosen, query), arguments, query.device)
    if needs[1]:
        of_memory = (problem, query, offset, grad, weights, grad_logits, reached, grad_memory)
        grid = _grid_of_tiles(chosen, tiles)
        _launch("memory.cu", "sifa_gradient_of_memory", chosen, grid, of_memory, query.device)
    grads = (grad_query, grad_memory, grad_offset.to(offset_dtype))
    return tuple(grad if need else None for grad, need in zip(grads, needs, strict=True))


def _grid_of_tiles(chosen: Constants, tiles: int) -> tuple[int, int]:
    """Blocks and threads of the memory gradient; a thread has 1, 2 or 4 channels, as OWNED in memory.cu."""
    fits_two, fits_four = chosen.vector >= 2 and chosen.channels >= 64, chosen.vector >= 4 and chosen.channels >= 128
    owned = 4 if fits_four else 2 if fits_two else 1
    owners = -(-chosen.channels // owned)
    threads = 64 if owners > 32 and owned < 4 else 32  # 128 channels of a tile fit a block's shared memory
    return tiles * -(-owners // threads), threads
