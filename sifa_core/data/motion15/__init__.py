"""motion15: synthetic clips labelled by what moves, with true optical flow."""

from typing import TYPE_CHECKING

from sifa_core.data.motion15.labels import LABELS, OPPOSITE, SPEED_BINS, speed_bin
from sifa_core.data.motion15.render import MotionConfig, MotionSample, camera_drifts, label_of, render
from sifa_core.lazy import lazy_names

if TYPE_CHECKING:
    from sifa_core.data.motion15.writer import make_dataset
else:  # writing files needs PyAV
    __getattr__, __dir__ = lazy_names(__name__, {"sifa_core.data.motion15.writer": ("make_dataset",)})

__all__ = [
    "LABELS",
    "OPPOSITE",
    "SPEED_BINS",
    "MotionConfig",
    "MotionSample",
    "camera_drifts",
    "label_of",
    "make_dataset",
    "render",
    "speed_bin",
]
