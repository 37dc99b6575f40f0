"""What a model costs: parameters, multiply-adds, memory and time, beside the paper's figures."""

from sifa_core.profile.comparison import Comparison, compare_with_paper
from sifa_core.profile.cost import Cost, measure_cost
from sifa_core.profile.latency import Latency, measure_latency

__all__ = ["Comparison", "Cost", "Latency", "compare_with_paper", "measure_cost", "measure_latency"]
