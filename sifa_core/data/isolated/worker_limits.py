"""What a worker may take."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class WorkerLimits:
    """What the reading of one file may take. Raises ValueError for a value that is not a positive whole number."""

    memory_bytes: int = 1_500_000_000
    """Address space beyond that of a worker which has nothing to do; what is in memory is always less."""
    readers: int = 2
    """Files read at once; further ones wait."""
    open_files: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                raise ValueError(f"{field.name} must be a positive whole number, not {value!r}")
