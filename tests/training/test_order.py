"""Why motion15 needs more than single frames: a plain 2D network cannot tell a direction, whatever it has learned."""

from __future__ import annotations

import torch

from sifa_core.data.motion15 import MotionConfig, render
from sifa_core.data.transforms import normalize
from sifa_core.models import create_model

CONFIG = MotionConfig(8, 64, 64)


def logits(temporal: str, temporal_stride: int, order: list[int]) -> torch.Tensor:
    """Of a network with random weights on a moving clip whose frames come in `order`."""
    torch.manual_seed(0)
    model = create_model(
        "sifa_net_tiny", width=8, temporal=temporal, temporal_stride=temporal_stride, gate="none", input_size=64
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bn3.weight"):  # zero at first, which would hide the branches
                parameter.fill_(1.0)
        frames = torch.from_numpy(render(0, "val", 4, CONFIG).frames[order])[None]
        return model(normalize(frames, model.info.mean, model.info.std))


def test_frame_by_frame_any_order_gives_the_same_answer():
    forwards, backwards = list(range(8)), list(range(7, -1, -1))
    mixed = [3, 0, 6, 1, 7, 2, 5, 4]
    plain = logits("none", 1, forwards)
    for order in (backwards, mixed):
        torch.testing.assert_close(logits("none", 1, order), plain, rtol=1e-4, atol=1e-5)
    scale = plain.std()
    assert (logits("sifa", 1, backwards) - logits("sifa", 1, forwards)).abs().max() > 0.01 * scale
    assert (logits("none", 4, backwards) - logits("none", 4, forwards)).abs().max() > 0.01 * scale
