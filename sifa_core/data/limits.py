"""What a clip may cost. Metadata lies, so everything but the file's size is checked while decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Largest clip that `read_clip` accepts; passing any of them raises `ClipTooLargeError`.

    Raises ValueError where a value is not a positive finite number, apart from an infinite `max_decode_seconds`.
    """

    max_bytes: int = 200_000_000
    """Size of the file."""
    max_seconds: float = 60.0
    """Time between the first and the last frame."""
    max_frames: int = 3600
    """Decoded frames of the whole file: 60 s at 60 frames per second."""
    max_pixels: int = 4096 * 2304
    """Pixels of one frame as stored: 4K in both of its usual forms."""
    max_aspect_ratio: float = 8.0
    """Long side over short side as shown; a picture thinner than that would be blown up to gigantic model inputs."""
    max_clip_bytes: int = 1_000_000_000
    """The clip's own frames in memory: height x width x 3 for each."""
    max_decode_seconds: float = 30.0
    """Wall-clock time of the whole reading, so that no file can hold a worker; infinity for no such limit."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "max_decode_seconds" and value == math.inf:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
                raise ValueError(f"{field.name} must be a positive number, not {value!r}")


DATASET_LIMITS = Limits(max_bytes=8_000_000_000, max_seconds=3600.0, max_frames=3600 * 120, max_decode_seconds=math.inf)
"""Of one's own videos, for training and evaluation. Without a clock: how busy the machine is must not decide which
videos count as broken, or a resumed run would differ."""
