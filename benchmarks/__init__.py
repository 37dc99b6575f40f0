"""Measurements: `run` times the operator and models, `harness` takes the times, `kernel_report` lists what GPU kernels
use, `gpu_check` tries them on a GPU."""
