"""From video files to clips. Data sets and transforms (which need torch) are imported from their own modules."""

from sifa_core.data.clip import Clip, ClipSource
from sifa_core.data.decode import read_clip, read_frames, read_views
from sifa_core.data.limits import Limits

__all__ = ["Clip", "ClipSource", "Limits", "read_clip", "read_frames", "read_views"]
