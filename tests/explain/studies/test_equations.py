"""The steps of equations 1 to 7: they rebuild what the layer computed, and each is what the paper says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sifa_core.data import Clip
from sifa_core.errors import QueryError
from sifa_core.explain.explanation import Explanation, analyze
from sifa_core.explain.features import layer_features
from sifa_core.explain.studies.equations import bilinear_weights, explain_equations, nearest_cell
from sifa_core.inference import prepare
from sifa_core.models import VideoModel, create_model

QUERIES = [(0, 60.0, 40.0), (1, 3.0, 2.0), (2, 129.0, 89.0), (3, 70.0, 30.0)]
"""Inside, in two corners (with points outside the map), and in the last frame, which attends to itself."""


@pytest.fixture(scope="module")
def analysis(clip: Clip) -> Explanation:
    """A model with offsets of about a cell whose features stay of the order of one in every layer."""
    return analyze(_lively(gate="channel"), clip)


def _lively(**fields: object) -> VideoModel:
    torch.manual_seed(5)
    model = create_model("sifa_net_tiny", **fields).eval()
    for name, parameter in model.named_parameters():
        if ".temporal.gate" in name:
            torch.nn.init.normal_(parameter, std=0.1)
        elif ".temporal." in name:
            torch.nn.init.normal_(parameter, std=0.03 if name.endswith("weight") else 0.5)
        elif "bn3.weight" in name:
            torch.nn.init.constant_(parameter, 0.3)
    return model


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("layer", ["res3.0", "res4.1", "res5.1"])
def test_steps_rebuild_the_output_of_the_layer(analysis: Explanation, query: tuple, layer: str) -> None:
    steps = explain_equations(analysis, query, layer)
    features = layer_features(analysis.model, prepare(analysis.model, analysis.clip), layer)
    column, row = steps.cell
    t = query[0]
    np.testing.assert_allclose(steps.deformed.weights, analysis.traces[layer].weights[t, :, row, column], atol=1e-5)
    np.testing.assert_allclose(steps.deformed.aggregate, features.aggregate[t, :, row, column], atol=1e-5)
    gain = analysis.model.sifa_layers()[layer].gate.gain.detach().numpy()
    rebuilt = steps.query + gain * steps.deformed.aggregate
    np.testing.assert_allclose(rebuilt, features.output[t, :, row, column], atol=1e-5)
    np.testing.assert_allclose(steps.output, features.output[t, :, row, column], atol=1e-5)
    assert np.abs(gain * steps.deformed.aggregate).max() > 1e-3, "or the comparison would say nothing"
    assert np.abs(steps.offset).max() > 0.1
    strongest = steps.deformed.strongest()
    blended = steps.corner_weights[strongest] @ steps.corner_features
    np.testing.assert_allclose(steps.deformed.keys[strongest], blended, atol=1e-9)


@pytest.mark.parametrize("fields", [{"gate": "none"}, {"gate": "layernorm"}, {"scale": "softmax"}, {"scale": "none"}])
def test_steps_follow_the_fields_of_the_model(clip: Clip, fields: dict) -> None:
    model = _lively(**fields)
    analysis = analyze(model, clip)
    steps = explain_equations(analysis, (1, 60, 40), "res4.0")
    features = layer_features(model, prepare(model, clip), "res4.0")
    column, row = steps.cell
    weights = analysis.traces["res4.0"].weights[1, :, row, column]
    np.testing.assert_allclose(steps.deformed.weights, weights, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(steps.output, features.output[1, :, row, column], rtol=1e-5, atol=1e-5)
    if fields.get("gate") == "none":
        np.testing.assert_allclose(steps.gated, steps.deformed.aggregate, rtol=1e-5, atol=1e-5)


def test_the_offset_convolution_makes_the_offsets_of_the_saliency(analysis: Explanation) -> None:
    """Eq. 4 and 5 by their definition, then the convolution: the offsets that the trace holds."""
    features = layer_features(analysis.model, prepare(analysis.model, analysis.clip), "res4.0")
    steps = explain_equations(analysis, (1, 60, 40), "res4.0")
    column, row = steps.cell
    difference = features.memory - features.query
    saliency = torch.sigmoid(torch.from_numpy(difference)) * torch.from_numpy(features.memory)
    np.testing.assert_allclose(steps.difference, difference[1, :, row, column], atol=1e-6)
    np.testing.assert_allclose(steps.saliency, saliency[1, :, row, column], atol=1e-6)
    np.testing.assert_allclose(steps.saliency_map, analysis.traces["res4.0"].saliency[1], atol=1e-5)
    with torch.no_grad():
        offset = analysis.model.sifa_layers()["res4.0"].offset.conv(saliency)[1, :, row, column]
    np.testing.assert_allclose(steps.offset, offset.unflatten(0, (-1, 2)).flip(1), atol=1e-5)


def test_regular_steps_are_plain_dot_products(analysis: Explanation) -> None:
    """Eq. 1 to 3 by hand, at a place whose neighbours are all inside."""
    steps = explain_equations(analysis, (1, 60, 40), "res3.0")
    features = layer_features(analysis.model, prepare(analysis.model, analysis.clip), "res3.0")
    column, row = steps.cell
    patch = features.memory[1, :, row - 1 : row + 2, column - 1 : column + 2].reshape(len(steps.query), 9)
    np.testing.assert_allclose(steps.regular.products, features.query[1, :, row, column] @ patch, rtol=1e-4)
    np.testing.assert_allclose(steps.regular.weights, steps.regular.products / len(steps.query))
    np.testing.assert_allclose(steps.regular.aggregate, patch @ steps.regular.weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(steps.regular_output, steps.query + steps.regular.aggregate)


def test_bilinear_weights() -> None:
    corners, weights = bilinear_weights(np.array([[1.25, 0.5], [-0.5, 0.0], [9.0, 9.0]]), (3, 4))
    np.testing.assert_array_equal(corners[0], [[1, 0], [2, 0], [1, 1], [2, 1]])
    np.testing.assert_allclose(weights[0], [0.375, 0.125, 0.375, 0.125])
    np.testing.assert_allclose(weights[1], [0, 0.5, 0, 0], err_msg="what is outside counts for nothing")
    np.testing.assert_allclose(weights[2], [0, 0, 0, 0])


def test_the_cell_is_the_one_the_pixel_lies_in(analysis: Explanation) -> None:
    grid = analysis.grid("res4.0")
    for cell in ((0, 0), (grid.columns - 1, grid.rows - 1), (2, 1)):
        x, y = grid.to_pixels(np.array(cell, dtype=float))
        assert nearest_cell(analysis, "res4.0", x, y) == cell
    assert nearest_cell(analysis, "res4.0", -0.5, -0.5) == (0, 0)


def test_impossible_queries_are_refused(analysis: Explanation) -> None:
    with pytest.raises(QueryError, match="outside the clip"):
        explain_equations(analysis, (1, 1000, 40))
    with pytest.raises(QueryError, match="no SIFA layer"):
        explain_equations(analysis, (1, 60, 40), "res9.9")


def test_no_hook_stays(analysis: Explanation) -> None:
    explain_equations(analysis, (1, 60, 40))
    assert not any(module._forward_hooks for module in analysis.model.modules())
