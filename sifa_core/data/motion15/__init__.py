"""motion15: synthetic clips labelled by what moves, with true optical flow."""

from sifa_core.data.motion15.labels import LABELS, OPPOSITE, SPEED_BINS, speed_bin
from sifa_core.data.motion15.render import MotionConfig, MotionSample, label_of, render
from sifa_core.data.motion15.writer import make_dataset

__all__ = [
    "LABELS",
    "OPPOSITE",
    "SPEED_BINS",
    "MotionConfig",
    "MotionSample",
    "label_of",
    "make_dataset",
    "render",
    "speed_bin",
]
