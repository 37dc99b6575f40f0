"""A benchmark of explanations: how true the pictures of a checkpoint are, on clips whose truth is known.

`run_benchmark` measures, `ExplanationBenchmark.to_dict` and `markdown` tell. `sifa evaluate --explanations` is both.
"""

from sifa_core.explain.benchmark.report import map_table, markdown, read_card, update_card, write_files
from sifa_core.explain.benchmark.run import BenchmarkConfig, ExplanationBenchmark, run_benchmark, summarise_maps

__all__ = [
    "BenchmarkConfig",
    "ExplanationBenchmark",
    "map_table",
    "markdown",
    "read_card",
    "run_benchmark",
    "summarise_maps",
    "update_card",
    "write_files",
]
