"""Choosing where a model runs."""

from __future__ import annotations

import torch

from sifa_core.errors import ModelError


def pick_device(name: str = "auto") -> str:
    """A device that is there: "auto" takes a GPU if there is one. Raises ModelError for one that is not."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"There is no device {name!r}; use auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"There is no usable GPU here for device {name!r}; use auto or cpu.")
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"Device {name!r} is not supported; use auto, cpu or cuda.")
    return name
