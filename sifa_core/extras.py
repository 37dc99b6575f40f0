"""The packages that this one stands on, and which extra brings those that only some of the work needs.

pyproject.toml defines the extras; here are the modules that they are imported as.
"""

from __future__ import annotations

PACKAGE = "sifa-explorer"
CORE = (
    *("torch", "numpy", "cv2", "av", "captum", "matplotlib", "PIL", "safetensors", "omegaconf", "yaml"),
    *("huggingface_hub", "tqdm"),
)
EXTRAS = {
    "app": ("cachetools", "gradio", "plotly"),
    "train": ("accelerate", "plotly", "tensorboard"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "notebook": ("anywidget", "traitlets"),
}


def missing(error: ModuleNotFoundError) -> str | None:
    """One sentence that says what to install for a module that is not there; None for one that nothing here brings."""
    module = (error.name or "").partition(".")[0]
    if module in CORE:
        return f"This needs the package {module}, which {PACKAGE} installs: pip install {PACKAGE}."
    for extra, modules in EXTRAS.items():
        if module in modules:
            return f'This needs the package {module}: pip install "{PACKAGE}[{extra}]".'
    return None
