"""Explanations read from one traced forward: sampling points, motion saliency, Grad-CAM, statistics, Figure 5."""

from sifa_core.explain.analysis import Analysis, analyze
from sifa_core.explain.points import SamplingPoints
from sifa_core.explain.statistics import OffsetStatistics
from sifa_core.explain.trace import LayerTrace, Trace

__all__ = ["Analysis", "LayerTrace", "OffsetStatistics", "SamplingPoints", "Trace", "analyze"]
