"""What only some of the work needs: the extras of the package, as pyproject.toml defines them."""

from __future__ import annotations

EXTRAS = {
    "app": ("gradio", "plotly"),
    "train": ("accelerate", "tensorboard", "yaml"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
}
"""Extra -> modules that it brings."""


def missing(error: ModuleNotFoundError) -> str:
    """One sentence that names what is to be installed."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return f'This needs the package {module}: pip install "sifa-explorer[{extra}]".'
    return f"This needs the package {module}, which is not installed."
