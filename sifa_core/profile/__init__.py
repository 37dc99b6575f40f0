"""What a model costs: parameters, multiply-adds, memory and time, beside the paper's figures."""

from sifa_core.profile.cost import Cost, measure_cost
from sifa_core.profile.latency import Latency, measure_latency
from sifa_core.profile.paper_costs import PaperCost, compare_with_paper

__all__ = ["Cost", "Latency", "PaperCost", "compare_with_paper", "measure_cost", "measure_latency"]
