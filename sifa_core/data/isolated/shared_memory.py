"""Memory that a worker writes pictures into and its owner reads from, without a copy and without a file system.

It is an anonymous file of a fixed size, of which only the pages that were written to take memory. Its size is sealed
before the worker has it: memory that shrank under its reader would end the reader.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = ("uint8", "int64", "float64")
_FLAGS = mmap.MAP_SHARED | mmap.MAP_POPULATE
"""All pages at once: asked for one by one, as they are first touched, they cost a third of a short clip's reading."""


def new_memory(capacity: int) -> int:
    """A descriptor of `capacity` bytes that can neither grow nor shrink. Raises OSError."""
    memory = os.memfd_create("clip", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, capacity)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(memory)
        raise
    return memory


class SharedArrays:
    """The worker's end: arrays that are made here can be told to the other end as they are."""

    def __init__(self, memory: int, capacity: int) -> None:
        self._memory = memory
        self._left = capacity
        self._at = 0
        self._places: dict[int, int] = {}
        """By address of an array's first byte."""
        self._arrays: list[NDArray[Any]] = []
        """All of them: another array could have the address of one that is gone."""

    def empty(self, shape: Sequence[int], kind: str = "uint8") -> NDArray[Any]:
        """An array of this shape and type. Raises MemoryError where no room is left for it."""
        at, array = self._new(shape, kind)
        self._places[array.ctypes.data] = at
        self._arrays.append(array)
        return array

    def entry(self, array: NDArray[Any]) -> dict[str, Any]:
        """Where an array lies, for `placed`; it is copied here if it was made elsewhere. Raises MemoryError."""
        at = self._places.get(array.ctypes.data)
        if at is None:
            # Not mapped for longer than this: every mapping holds a descriptor, of which there are few.
            at, own = self._new(array.shape, array.dtype.name)
            own[...] = array
        return {"at": at, "shape": list(array.shape), "type": array.dtype.name}

    def _new(self, shape: Sequence[int], kind: str) -> tuple[int, NDArray[Any]]:
        size = math.prod(shape) * np.dtype(kind).itemsize
        room = -(-size // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        if room > self._left:
            raise MemoryError(f"{size} bytes of {self._left}")
        at = self._at
        try:
            part = mmap.mmap(self._memory, size, _FLAGS, offset=at)
        except OSError as error:
            raise MemoryError(f"{size} bytes") from error
        self._at += room
        self._left -= room
        return at, np.frombuffer(part, kind).reshape(shape)


def placed(memory: int, entry: Any, kind: str, dimensions: int) -> NDArray[Any]:
    """The array, not to be written to, that an `entry` speaks of. It stays when the descriptor is closed.

    Raises ValueError for an entry that is not one of an array of this type (`uint8`, `int64`, `float64`) and number
    of dimensions, within the memory; OSError where it cannot be mapped.
    """
    match entry:
        case {"at": int(at), "shape": list(shape), "type": str(told)} if len(shape) == dimensions:
            pass
        case _:
            raise ValueError("no place and shape")
    if any(type(number) is not int or number < 0 for number in (at, *shape)):
        raise ValueError("no place and shape")
    if kind not in _TYPES or told != kind or at % mmap.ALLOCATIONGRANULARITY:
        raise ValueError("another type, or another place")
    size = math.prod(shape) * np.dtype(kind).itemsize
    if not size or at + size > os.fstat(memory).st_size:
        raise ValueError("nothing, or more than there is")
    return np.frombuffer(mmap.mmap(memory, size, _FLAGS, mmap.PROT_READ, offset=at), kind).reshape(shape)
