"""The traced network in PyTorch, before any file is written, against the explanations that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sifa_core.explain.class_evidence import motion_path
from sifa_core.explain.geometry import feature_frames
from sifa_core.explain.traced.file import explain_with_model
from sifa_core.explain.traced.network import LAYER_MAPS, TracedNetwork
from sifa_core.models import create_model
from sifa_core.models.standalone import portable
from tests.explain.traced.models import NET, TRANSFORMER, lively

KINDS = {
    "plain": ("sifa_net_tiny", NET),
    "skip": ("sifa_net_tiny", NET | {"last_frame": "skip"}),
    "both neighbours": ("sifa_net_tiny", NET | {"temporal": "sifa_star"}),
    "two heads": ("sifa_net_tiny", NET | {"dual_head": True}),
    "transformer": ("sifa_transformer_tiny", TRANSFORMER),
}


def answers(model, video, places=(0, 1, 3)):
    """Outputs by name for the clips of the motion path at `places`; the halfway clip is left out."""
    shown = feature_frames(video.shape[2], model.temporal_stride)
    network = TracedNetwork(portable(model), len(shown))
    with torch.no_grad():
        values = network(motion_path(video, shown)[list(places)])
    return dict(zip(network.names, (value.numpy() for value in values), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_says_what_its_analysis_says(kind):
    name, fields = KINDS[kind]
    model = lively(name, **fields)
    video = torch.randn(1, 3, 16, 64, 96, generator=torch.Generator().manual_seed(1))
    found, expected = answers(model, video), explain_with_model(model, video)
    np.testing.assert_allclose(found["logits"][-1], expected.logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["motion"], expected.motion, rtol=1e-3, atol=1e-5)
    for layer, trace in expected.traces.items():
        for key in LAYER_MAPS:
            np.testing.assert_allclose(found[f"{layer}.{key}"], getattr(trace, key), rtol=1e-3, atol=1e-4)
    assert ("head" in found) == (kind in ("plain", "skip", "both neighbours"))


def test_one_clip_alone_has_the_same_traces_and_a_map_of_motion():
    model = lively("sifa_net_tiny", **NET)
    video = torch.randn(1, 3, 16, 64, 96)
    alone, beside = answers(model, video, [3]), answers(model, video)
    assert alone["motion"].shape == beside["motion"].shape
    assert np.abs(alone["motion"] - beside["motion"]).max() > 1e-3  # the held clip adds something
    for name in alone.keys() - {"motion", "logits", "features"}:
        np.testing.assert_allclose(alone[name], beside[name], rtol=1e-4, atol=1e-5)
    assert alone["logits"].shape == (1, 5)
    np.testing.assert_allclose(alone["logits"][0], beside["logits"][2], rtol=1e-4, atol=1e-5)


def test_a_clip_of_one_feature_frame_has_a_map_without_motion():
    found = answers(lively("sifa_net_tiny", **NET), torch.randn(1, 3, 3, 64, 96))
    assert found["motion"].shape == (1, 16, 24)
    assert not found["motion"].any()


@pytest.mark.parametrize("fields", [{}, {"dual_head": True}])
def test_the_head_weight_is_what_the_mean_is_multiplied_by(fields):
    """The gradient of a logit at the last stage's features, place by place."""
    model = lively("sifa_net_tiny", **NET | fields)
    features = {}
    model.stage_outputs()["res5"].register_forward_hook(lambda _, __, output: features.update(res5=output))
    logits = model(torch.randn(1, 3, 8, 64, 64))
    weight = model.head_weight()
    if fields:
        assert weight is None
        return
    (gradient,) = torch.autograd.grad(logits[0, 2], features["res5"])
    expected = weight[2].detach() / (gradient.shape[0] * gradient.shape[2] * gradient.shape[3])
    torch.testing.assert_close(gradient, expected[None, :, None, None].expand_as(gradient))


def test_the_architectures_that_end_otherwise_have_no_head_weight():
    assert create_model("sifa_transformer_tiny", **TRANSFORMER).head_weight() is None
