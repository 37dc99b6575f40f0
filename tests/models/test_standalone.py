"""Exported files, run by onnxruntime and by torch alone, against the models that they were made from."""

import importlib.util
import json

import onnx
import pytest
import torch

from sifa_core import sifa_attention
from sifa_core.cli import main
from sifa_core.errors import ExportError
from sifa_core.models import create_model, save_checkpoint
from sifa_core.models.standalone import GridSampleAttention, check_export, export_model

NET = {"layers": (1, 1, 1, 1), "width": 8, "num_classes": 5, "stages": ("res4", "res5")}
TRANSFORMER = {"layers": (1, 1, 2, 1), "width": 16, "head_width": 16, "num_classes": 5, "stages": ("res4", "res5")}


def lively(name, **fields):
    """A model in which every part matters: no gain, offset or gate is zero."""
    torch.manual_seed(0)
    model = create_model(name, **fields).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith(("bn3.weight", "gate.norm.weight")) or "offset" in key:
                parameter.copy_(torch.randn_like(parameter) * 0.3 + 0.1)
    return model


@pytest.mark.parametrize("scale", ["mean", "none", "softmax"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_portable_operator_is_the_operator(kernel_size, scale):
    torch.manual_seed(0)
    query, memory = torch.randn(2, 4, 6, 9), torch.randn(2, 4, 6, 9)
    offset = torch.randn(2, 2 * kernel_size**2, 6, 9) * 4  # many points fall outside
    expected = sifa_attention(query, memory, offset, kernel_size=kernel_size, scale=scale)
    aggregate, weights = GridSampleAttention(kernel_size, scale)(query, memory, offset)
    torch.testing.assert_close(aggregate, expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weights, expected[1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fields"), [("sifa_net_tiny", NET), ("sifa_transformer_tiny", TRANSFORMER)])
def test_onnxruntime_agrees_with_torch(name, fields, tmp_path):
    model = lively(name, **fields)
    path = export_model(model, tmp_path / "model.onnx", frames=8, size=(40, 56))
    assert check_export(path, model, clips=3) < 1e-5
    assert list(tmp_path.iterdir()) == [path]
    content = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in content.opset_import] == [("", 20)]
    samples = [node for node in content.graph.node if node.op_type == "GridSample"]
    assert len(samples) == len(model.sifa_layers()) == 2
    assert b".py" not in path.read_bytes()  # nothing of the machine that wrote it
    facts = {entry.key: json.loads(entry.value) for entry in content.metadata_props}
    assert facts["labels"] == list(model.info.labels)
    assert facts["config"]["name"] == name
    assert [dim.dim_value for dim in content.graph.input[0].type.tensor_type.shape.dim][1:] == [3, 8, 40, 56]


@pytest.mark.slow
def test_a_pt2_file_of_the_command_needs_nothing_of_this_package(tmp_path, capsys):
    model = lively("sifa_net_tiny", **NET)
    source, target = save_checkpoint(tmp_path / "own.safetensors", model), tmp_path / "own.pt2"
    code = main(["export", str(target), "--model", str(source), "--frames", "8", "--size", "40", "56", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["file"], answer["bytes"]) == (0, str(target), target.stat().st_size)
    assert answer["largest_difference"] < 1e-5
    assert check_export(target, model, clips=3) < 1e-5
    facts = {"model": ""}
    program = torch.export.load(target, extra_files=facts)
    assert "sifa" not in str(program.graph)
    assert "grid_sampler" in str(program.graph)
    assert json.loads(facts["model"])["mean"] == list(model.info.mean)


def test_what_the_exporters_cannot_do_is_one_sentence(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ValueError("this operation has no counterpart\nAdvice follows.")

    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(
        ExportError, match=r"^sifa_net_tiny cannot be exported to a.pt2: this operation has no counterpart$"
    ):
        export_model(create_model("sifa_net_tiny", **NET), tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []


def test_the_model_is_left_as_it_is(tmp_path):
    model = lively("sifa_net_tiny", **NET).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ExportError, match=r"model.onnx cannot be written: No such file or directory\.$"):
        export_model(model, tmp_path / "gone" / "model.onnx")
    assert model.training
    assert len(model.sifa_layers()) == 2
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    for arguments, message in (
        (["model.doc"], "model.doc cannot be written: the ending must be one of .onnx, .pt2"),
        (["model.onnx"], "ONNX needs onnxscript: pip install onnxscript"),
        (["model.pt2", "--model", "gone"], "no model named 'gone'"),
    ):
        assert main(["export", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (error,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
        assert message in error
    assert list(tmp_path.iterdir()) == []
