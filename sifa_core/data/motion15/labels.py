"""The 15 classes of motion15, named by what moves, and which is which played backwards."""

from __future__ import annotations

LABELS = (
    "still",
    "object moves left",
    "object moves right",
    "object moves up",
    "object moves down",
    "object turns clockwise",
    "object turns anticlockwise",
    "object comes closer",
    "object moves away",
    "camera pans left",
    "camera pans right",
    "camera tilts up",
    "camera tilts down",
    "camera zooms in",
    "camera zooms out",
)
"""Class names in the order of the logits. A camera that pans left shows content that moves right."""

OPPOSITE = (0, *(index + 1 if index % 2 else index - 1 for index in range(1, len(LABELS))))
"""OPPOSITE[i] is the class of a clip of class i played backwards; opposites follow each other in LABELS."""

SPEED_EDGES = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Lower edges of the speed bins, in cells of the res4 map (16 pixels) between two feature frames (4 input frames)."""
SPEED_BINS = ("still", "up to 0.25", "0.25 to 0.5", "0.5 to 1", "1 to 2", "above 2")
"""Names of the speed bins."""


def speed_bin(speed: float) -> int:
    """Index into SPEED_BINS of a speed in cells per feature frame; 0 only for a speed of exactly nothing."""
    return sum(speed > edge for edge in SPEED_EDGES)
