"""Building blocks: the SIFA block, its offset estimators and gates, and the registry of temporal modules."""

from sifa_core.layers import modules  # noqa: F401  (registers every temporal module)
from sifa_core.layers.frames import frame_pairs
from sifa_core.layers.offset_estimators import motion_saliency_map
from sifa_core.layers.sifa import SIFA
from sifa_core.layers.temporal import TemporalConfig, build_temporal, register_temporal, temporal_names

__all__ = [
    "SIFA",
    "TemporalConfig",
    "build_temporal",
    "frame_pairs",
    "motion_saliency_map",
    "register_temporal",
    "temporal_names",
]
