"""From video files to clips. Data sets and transforms (which need torch) are imported from their own modules."""

from typing import TYPE_CHECKING

from sifa_core.data.clip import Clip, ClipSource
from sifa_core.data.limits import Limits
from sifa_core.lazy import lazy_names

if TYPE_CHECKING:
    from sifa_core.data.decode import VideoReading, read_clip, read_frames, read_overview, read_video, read_views
else:  # decoding needs PyAV
    _READ = ("VideoReading", "read_clip", "read_frames", "read_overview", "read_video", "read_views")
    __getattr__, __dir__ = lazy_names(__name__, {"sifa_core.data.decode": _READ})

__all__ = [
    "Clip",
    "ClipSource",
    "Limits",
    "VideoReading",
    "read_clip",
    "read_frames",
    "read_overview",
    "read_video",
    "read_views",
]
