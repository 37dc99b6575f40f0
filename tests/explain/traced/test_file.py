"""A traced file in onnxruntime: on real clips, in sizes that it was not traced with, and what it says of itself."""

from __future__ import annotations

import contextlib
import io
import json
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from sifa_core import read_clip
from sifa_core.cli import main
from sifa_core.errors import ExportError, ModelError
from sifa_core.explain.traced.export import export_traced
from sifa_core.explain.traced.file import BOUNDS, TracedFile, differences, explain_with_model
from sifa_core.explain.traced.float16 import LEAST, halve_weights
from sifa_core.inference import prepare
from sifa_core.models import VideoModel, create_model, save_checkpoint
from sifa_core.paths import EXAMPLE_CLIPS
from tests.explain.traced.models import NET, TRANSFORMER, lively


class Written(NamedTuple):
    model: VideoModel
    file: TracedFile
    content: onnx.ModelProto
    said: dict


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    """What the command writes for a small network, once for all tests: tracing is what takes long."""
    folder = tmp_path_factory.mktemp("traced")
    model, path = lively("sifa_net_tiny", **NET | {"stages": ("res5",)}), folder / "small.onnx"
    source = save_checkpoint(folder / "small.safetensors", model)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["export", str(path), "--traced", "--model", str(source), "--json"]) == 0
    return Written(model, TracedFile(path), onnx.load(path), json.loads(said.getvalue()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["person_walks_left_close", "earth_rotates"])
def test_an_example_is_explained_as_the_model_explains_it(written, name):
    clip = read_clip(EXAMPLE_CLIPS / f"{name}.mp4", num_frames=16, max_short_side=192)
    video = prepare(written.model, clip)
    found = differences(written.file.explain(video), explain_with_model(written.model, video))
    assert found.visible == {}


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 32), (160, 96)])
def test_any_size_and_any_number_of_clips(written, size):
    video = torch.randn(1, 3, 16, *size, generator=torch.Generator().manual_seed(2))
    found = differences(written.file.explain(video), explain_with_model(written.model, video))
    assert found.visible == {}
    for clips in (torch.randn(5, 3, 16, *size), video):
        with torch.no_grad():
            expected = written.model(clips)
        found = torch.from_numpy(written.file.run(clips)["logits"])
        torch.testing.assert_close(found.softmax(1), expected.softmax(1), rtol=0, atol=BOUNDS["probabilities"])


@pytest.mark.slow
def test_the_command_compares_and_its_file_is_half_of_float32(written):
    assert set(written.said["differences"]) >= {"probabilities", "points", "motion", "evidence"}
    assert written.said["visible"] == []
    assert written.said["largest_difference"] == written.said["differences"]["logits"]
    initializers = written.content.graph.initializer
    assert all(weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < LEAST for weight in initializers)
    halves = sum(np.prod(weight.dims) for weight in initializers if weight.data_type == TensorProto.FLOAT16)
    assert halves > 0.9 * sum(parameter.numel() for parameter in written.model.parameters())
    assert not any(node.metadata_props for node in written.content.graph.node)
    assert b".py" not in written.content.SerializeToString()  # nothing of the machine that wrote it


@pytest.mark.slow
def test_the_file_says_all_that_a_program_needs(written):
    facts = written.file.facts
    assert facts["labels"] == [f"class {number}" for number in range(5)]
    assert facts["mean"] == list(written.model.info.mean)
    traced = facts["traced"]
    assert (traced["frames"], traced["short_side"], traced["multiple"], traced["size"]) == (16, 96, 32, None)
    assert traced["feature_frames"] == [2, 6, 10, 14]
    assert traced["path"]["held"] == [2] * 4 + [6] * 4 + [10] * 4 + [14] * 4
    assert traced["path"]["frozen"] == [8] * 16
    assert [(layer["name"], layer["max_levels"]) for layer in traced["layers"]] == [
        ("res5.0", 1),
        ("res5.1", 2),
    ]
    assert traced["evidence"]["stage"] == "res5"
    assert "res2, res3, res4 needs gradients" in traced["evidence"]["missing"]
    outputs = {output.name for output in written.content.graph.output}
    assert {"logits", "motion", "features", "head"} < outputs
    for layer in traced["layers"]:
        assert {f"{layer['name']}.{key}" for key in ("offset", "weights", "saliency", "motion")} < outputs


def test_weights_too_large_for_float16_and_small_ones_stay():
    weights = {
        "large": np.full(LEAST, 0.1, np.float32),
        "huge": np.full(LEAST, 1e6, np.float32),
        "small": np.full(LEAST - 1, 0.1, np.float32),
        "whole": np.arange(LEAST),
    }
    nodes = [helper.make_node("Identity", [name], [f"{name}.out"]) for name in weights]
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None) for node in nodes]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    content = helper.make_model(helper.make_graph(nodes, "graph", [], outputs, initializers))
    halve_weights(content)
    stored = {weight.name: weight.data_type for weight in content.graph.initializer}
    assert stored == {
        "large.float16": TensorProto.FLOAT16,
        "huge": TensorProto.FLOAT,
        "small": TensorProto.FLOAT,
        "whole": TensorProto.INT64,
    }
    assert [(node.op_type, *node.output) for node in content.graph.node][:2] == [
        ("Cast", "large"),
        ("Identity", "large.out"),
    ]


def test_bad_input_is_one_sentence_and_nothing_is_written(tmp_path, capsys):
    assert main(["export", str(tmp_path / "model.pt2"), "--traced"]) == 2
    assert "model.pt2 cannot be written with --traced: the ending must be .onnx." in capsys.readouterr().err
    with pytest.raises(ExportError, match=r"^model.pt2 cannot be written: a traced model is an .onnx file\.$"):
        export_traced(lively("sifa_net_tiny", **NET), tmp_path / "model.pt2")
    plain = create_model("sifa_net_tiny", **NET | {"temporal": "none"})
    with pytest.raises(ModelError, match="without SIFA layers, so there is nothing to trace"):
        export_traced(plain, tmp_path / "model.onnx")
    skipping = create_model("sifa_net_tiny", **NET | {"last_frame": "skip"})
    with pytest.raises(ExportError, match="4 frames are one feature frame, which attends to nothing"):
        export_traced(skipping, tmp_path / "model.onnx", frames=4)
    with pytest.raises(ExportError, match=r"cannot be traced for all sizes at once: give the size of its clips\.$"):
        export_traced(lively("sifa_transformer_tiny", **TRANSFORMER), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_traced_file_is_said(tmp_path):
    with pytest.raises(ExportError, match=r"gone.onnx is not an ONNX file that can be read\.$"):
        TracedFile(tmp_path / "gone.onnx")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    other = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", [value], [other])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ExportError, match=r"other.onnx has no traces; sifa export --traced writes them\.$"):
        TracedFile(tmp_path / "other.onnx")
