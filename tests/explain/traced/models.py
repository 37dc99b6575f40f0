"""Networks of a second for the tests of this folder."""

from __future__ import annotations

import torch

from sifa_core.models import VideoModel, create_model

NET = {"layers": (1, 1, 1, 2), "width": 8, "num_classes": 5, "stages": ("res4", "res5"), "input_size": 96}
TRANSFORMER = {"layers": (1, 1, 2, 1), "width": 16, "head_width": 16, "num_classes": 5, "stages": ("res4", "res5")}


def lively(name: str, **fields: object) -> VideoModel:
    """A model in which every part matters: no gain, offset or gate is zero."""
    torch.manual_seed(0)
    model = create_model(name, **fields).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith(("bn3.weight", "gate.norm.weight")) or "offset" in key:
                parameter.copy_(torch.randn_like(parameter) * 0.3 + 0.1)
    return model
