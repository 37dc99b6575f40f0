"""Data sets: motion15, lists of videos, a folder per class, Something-Something V1 and V2."""

from typing import TYPE_CHECKING

from sifa_core.data.datasets.base import Batch, ClipDataset, DatasetError, Failures, Item, collate
from sifa_core.data.datasets.motion import MotionDataset
from sifa_core.lazy import lazy_names

if TYPE_CHECKING:
    from sifa_core.data.datasets.video import VideoDataset, View, open_dataset
else:  # decoding needs PyAV
    __getattr__, __dir__ = lazy_names(
        __name__, {"sifa_core.data.datasets.video": ("VideoDataset", "View", "open_dataset")}
    )

__all__ = [
    "Batch",
    "ClipDataset",
    "DatasetError",
    "Failures",
    "Item",
    "MotionDataset",
    "VideoDataset",
    "View",
    "collate",
    "open_dataset",
]
