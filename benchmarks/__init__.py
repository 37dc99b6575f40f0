"""Measurements: `run` times the operator, `kernel_report` lists what kernels use, `gpu_check` tries them on a GPU."""
