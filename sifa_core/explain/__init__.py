"""Explanations read from one traced forward: sampling points, motion saliency, Grad-CAM, statistics, Figure 5."""

from typing import TYPE_CHECKING

from sifa_core.lazy import lazy_names

if TYPE_CHECKING:
    from sifa_core.explain.analysis import Analysis, analyze
    from sifa_core.explain.points import SamplingPoints
    from sifa_core.explain.statistics import OffsetStatistics
    from sifa_core.explain.trace import LayerTrace, Trace
else:  # training uses some of the modules, and none of what `Analysis` needs
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sifa_core.explain.analysis": ("Analysis", "analyze"),
            "sifa_core.explain.points": ("SamplingPoints",),
            "sifa_core.explain.statistics": ("OffsetStatistics",),
            "sifa_core.explain.trace": ("LayerTrace", "Trace"),
        },
    )

__all__ = ["Analysis", "LayerTrace", "OffsetStatistics", "SamplingPoints", "Trace", "analyze"]
