"""Building blocks: the SIFA block, its offset estimators and gates, and the registry of temporal modules."""

from sifa_core.layers.offsets import motion_saliency_map
from sifa_core.layers.registry import TemporalConfig, build_temporal, register_temporal, temporal_names
from sifa_core.layers.sifa import SIFA, frame_pairs

__all__ = [
    "SIFA",
    "TemporalConfig",
    "build_temporal",
    "frame_pairs",
    "motion_saliency_map",
    "register_temporal",
    "temporal_names",
]
