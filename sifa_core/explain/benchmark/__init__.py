"""A benchmark of explanations: how true the pictures of a checkpoint are, on clips whose truth is known.

`run_benchmark` measures, `ExplanationBenchmark.to_dict` and `markdown` tell. `sifa evaluate --explanations` is both.
"""

from sifa_core.explain.benchmark.report import markdown, read_card, update_card, write_files
from sifa_core.explain.benchmark.run import BenchmarkConfig, ExplanationBenchmark, run_benchmark

__all__ = [
    "BenchmarkConfig",
    "ExplanationBenchmark",
    "markdown",
    "read_card",
    "run_benchmark",
    "update_card",
    "write_files",
]
