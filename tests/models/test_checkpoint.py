"""Checkpoints: what is saved comes back, and whatever does not fit is said in one sentence."""

import dataclasses
import json
import os
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from sifa_core.errors import CheckpointError, ConfigError, UnknownNameError
from sifa_core.models import checkpoint as module
from sifa_core.models import create_model, load_model, save_checkpoint
from sifa_core.models.checkpoint import SHIPPED
from sifa_core.paths import CHECKPOINTS

VIDEO = torch.linspace(-1, 1, 3 * 4 * 32 * 32).reshape(1, 3, 4, 32, 32)


@pytest.fixture
def model():
    torch.manual_seed(1)
    model = create_model("sifa_net_tiny", width=8, num_classes=3, kernel_size=5, stages=("res4", "res5")).eval()
    model.info = dataclasses.replace(model.info, labels=("left", "right", "still"))
    return model


def test_round_trip(model, tmp_path):
    path = save_checkpoint(tmp_path / "own.safetensors", model, {"top1": 0.5})
    loaded = load_model(path)
    assert loaded.config == model.config
    assert loaded.info.labels == ("left", "right", "still")
    assert loaded.info.facts == {"top1": 0.5}
    assert (loaded.info.status, loaded.info.source) == ("own", "own.safetensors")
    assert len(loaded.info.sha256) == 64
    assert not loaded.training
    assert torch.equal(loaded(VIDEO), model(VIDEO))
    assert [entry.name for entry in tmp_path.iterdir()] == ["own.safetensors"]


def test_shipped_weights_are_the_demo(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    save_checkpoint(tmp_path / "sifa_net_tiny.safetensors", model)
    assert load_model("sifa_net_tiny").info.status == "demo"


def test_shipped_weights_are_in_the_repository_and_missed_elsewhere(tmp_path, monkeypatch):
    assert {path.stem for path in CHECKPOINTS.glob("*.safetensors")} == set(SHIPPED)
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    with pytest.raises(CheckpointError, match=r"^The weights of sifa_net_tiny are not installed.*run from a copy"):
        load_model("sifa_net_tiny")


def test_without_shipped_weights_the_same_untrained_model_comes_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    first, second = load_model("sifa_transformer_tiny"), load_model("sifa_transformer_tiny")
    assert first.info.status == "untrained"
    assert not first.info.is_trained
    assert torch.equal(first.head.fc.weight, second.head.fc.weight)
    assert len(first.info.sha256) == 64
    assert first.info.sha256 == second.info.sha256


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s}])
def test_torch_files_need_to_be_told_the_architecture(model, tmp_path, wrap):
    plain = create_model("sifa_net_tiny", num_classes=3)
    path = tmp_path / "weights.pth"
    torch.save(wrap({f"module.{key}": value for key, value in plain.state_dict().items()}), path)
    with pytest.raises(CheckpointError, match=r"weights.pth does not say its architecture.*sifa_net_tiny"):
        load_model(path)
    loaded = load_model(path, architecture="sifa_net_tiny", labels=["a", "b", "c"])
    assert loaded.info.labels == ("a", "b", "c")
    assert torch.equal(loaded.fc.weight, plain.fc.weight)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="evil.pth is not a torch file that holds only weights"):
        load_model(tmp_path / "evil.pth", architecture="sifa_net_tiny")
    assert not (tmp_path / "owned").exists()


def test_what_does_not_fit_is_listed(model, tmp_path):
    path = save_checkpoint(tmp_path / "own.safetensors", model)
    with safetensors.safe_open(path, "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    state["extra"] = state.pop("fc.bias")
    state["conv1.weight"] = torch.zeros(8, 3, 1, 7, 7)
    safetensors.torch.save_file(state, path, metadata)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "own.safetensors does not fit sifa_net_tiny" in message
    assert "fc.bias is missing" in message
    assert "extra is unexpected" in message
    assert "conv1.weight is (8, 3, 1, 7, 7) instead of (8, 3, 4, 7, 7)" in message


def test_long_lists_are_counted(tmp_path):
    path = tmp_path / "other.safetensors"
    config = json.dumps({"name": "sifa_net_tiny"})
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, {"config": config})
    with pytest.raises(CheckpointError, match=r"; and \d{2,} more\.$"):
        load_model(path)


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pth"])
@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"\xff" * 64])
def test_broken_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="broken"):
        load_model(tmp_path / name, architecture="sifa_net_tiny")


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": 3}, {"a": torch.zeros(1), "b": 2}])
def test_torch_files_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="odd.pth holds no state dict"):
        load_model(tmp_path / "odd.pth", architecture="sifa_net_tiny")


def test_broken_metadata(tmp_path):
    path = tmp_path / "odd.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, {"config": "{"})
    with pytest.raises(CheckpointError, match="odd.safetensors is not a readable safetensors file"):
        load_model(path)


def test_metadata_of_another_form(tmp_path):
    path = tmp_path / "odd.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, {"config": '"sifa_net_tiny"'})
    with pytest.raises(CheckpointError, match="describes itself in a form"):
        load_model(path)


def test_unknown_field_in_a_file(tmp_path):
    path = tmp_path / "odd.safetensors"
    config = json.dumps({"name": "sifa_net_tiny", "switches": {"wings": 2}})
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, {"config": config})
    with pytest.raises(ConfigError, match="no field wings"):
        load_model(path)


DCN = {"layer3.0.conv2.conv_offset.weight": torch.zeros(27, 8, 3, 3), "conv1.weight": torch.zeros(8, 3, 7, 7)}
"""Of an image network with deformable convolutions, whose names are almost those of the authors' SIFA-Net."""
NO_ARCHITECTURE, NO_FIT, ODD_FORM = "does not say its architecture", "does not fit", "describes itself in a form"


@pytest.mark.parametrize(
    ("state", "config", "labels", "message"),
    [
        (DCN, None, None, NO_ARCHITECTURE),
        (DCN | {"fc.weight": torch.zeros(9, 8)}, None, None, NO_ARCHITECTURE),
        ({f"backbone.{key}": value for key, value in DCN.items()}, None, None, NO_ARCHITECTURE),
        ({"layers.0.blocks.0.tda_norm.weight": torch.ones(8)}, None, None, NO_ARCHITECTURE),
        ({"weight": torch.zeros(2)}, {"name": ["sifa_net_tiny"]}, None, ODD_FORM),
        ({"weight": torch.zeros(2)}, {"name": "sifa_net_tiny", "switches": "abc"}, None, ODD_FORM),
        ({"weight": torch.zeros(2)}, {"name": "sifa_net_tiny", "switches": [1]}, None, ODD_FORM),
        ({"weight": torch.zeros(2)}, {"name": "sifa_net_tiny", "switches": {1: 1}}, None, ODD_FORM),
        ({"weight": torch.zeros(2)}, {"name": "sifa_net_tiny"}, 5, ODD_FORM),
        ({"weight": torch.zeros(2)}, {"name": "sifa_net_tiny"}, [[1]] * 15, ODD_FORM),
        ({"fc.weight": torch.zeros(())}, {"name": "sifa_net_tiny"}, None, NO_FIT),
        ({1: torch.zeros(2)}, {"name": "sifa_net_tiny"}, None, "holds no state dict"),
    ],
)
def test_files_of_another_kind_are_one_sentence(tmp_path, state, config, labels, message):
    path = tmp_path / "odd.pth"
    torch.save({"state_dict": state, "config": config, "labels": labels}, path)
    with pytest.raises(CheckpointError, match=rf"odd.pth {message}"):
        load_model(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "sifa_net_r50"}, "no field name"),
        ({"preset": "official"}, "no field preset"),
        ({"weights": "other.pth"}, "no field weights"),
        ({"kernel_size": 3.0}, "kernel_size=3.0 is not possible"),
        ({"kernel_size": True}, "kernel_size=True is not possible"),
    ],
)
def test_a_file_s_fields_are_those_of_the_configuration(tmp_path, fields, message):
    path = tmp_path / "odd.safetensors"
    config = json.dumps({"name": "sifa_net_tiny", "switches": fields})
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, {"config": config})
    with pytest.raises(ConfigError, match=message):
        load_model(path)


def test_the_head_says_how_many_classes_there_are(tmp_path):
    model = create_model("sifa_transformer_tiny", num_classes=3)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    loaded = load_model(tmp_path / "weights.pth", architecture="sifa_transformer_tiny")
    assert len(loaded.info.labels) == 3
    assert torch.equal(loaded.head.fc.weight, model.head.fc.weight)


def test_labels_must_match_the_classes(model, tmp_path):
    path = save_checkpoint(tmp_path / "own.safetensors", model)
    with pytest.raises(CheckpointError, match="3 classes, but 2 labels"):
        load_model(path, labels=["left", "right"])


def test_missing_files_and_unknown_names(tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint file gone.safetensors"):
        load_model(tmp_path / "gone.safetensors")
    with pytest.raises(UnknownNameError, match=r"no model named 'gone'.*sifa_net_tiny"):
        load_model("gone")


def test_unwritable_place(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "own.safetensors", model)


def test_hub_names_go_through_the_hub_client(model, tmp_path, monkeypatch):
    path = save_checkpoint(tmp_path / "model.safetensors", model)
    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *names: asked.append(names) or str(path))
    assert load_model("hf://someone/sifa").info.status == "own"
    assert asked == [("someone/sifa", "model.safetensors")]


def test_hub_failures_are_one_sentence(monkeypatch):
    def offline(*names: str) -> Path:
        raise huggingface_hub.errors.LocalEntryNotFoundError("The hub cannot be reached.\nTraceback follows.")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(CheckpointError, match=r"^hf://someone/sifa cannot be downloaded: The hub cannot be reached.$"):
        load_model("hf://someone/sifa")


@pytest.mark.parametrize(("said", "shown"), [("407 Proxy\nmore", "407 Proxy"), ("", "HTTPError")])
def test_failures_of_the_transport_are_one_sentence(monkeypatch, said, shown):
    def fail(*names: str) -> Path:
        raise huggingface_hub.errors.HTTPError(said)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(CheckpointError, match=rf"^hf://someone/sifa cannot be downloaded: {shown}$"):
        load_model("hf://someone/sifa")


def test_a_malformed_proxy_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    huggingface_hub.close_session()
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "::not a proxy")
    with pytest.raises(CheckpointError, match=r"^hf://someone/sifa cannot be downloaded: .*(port|proxy|URL)"):
        load_model("hf://someone/sifa")


def test_malformed_hub_names_are_one_sentence():
    with pytest.raises(CheckpointError, match="is no repository name"):
        load_model("hf://some one/sifa/x/y")


@pytest.mark.parametrize(
    ("prefix", "name", "beside"),
    [
        ("_orig_mod.", "a.pth", {}),
        ("module._orig_mod.", "a.pt", {}),
        ("_orig_mod.module.", "a.bin", {}),
        ("model.", "a.ckpt", {"pytorch-lightning_version": "2.5.0", "epoch": 3}),
        ("net._orig_mod.", "b.ckpt", {"pytorch-lightning_version": "2.5.0"}),
    ],
)
def test_what_wrappers_put_into_names_is_taken_off(tmp_path, prefix, name, beside):
    """Files of compiled and distributed models, and of Lightning, whose network is an attribute of its module."""
    plain = create_model("sifa_net_tiny", num_classes=4)
    state = {f"{prefix}{key}": value for key, value in plain.state_dict().items()}
    torch.save({"state_dict": state} | beside, tmp_path / name)
    again = load_model(tmp_path / name, architecture="sifa_net_tiny")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in plain.state_dict().items())


def test_a_compiled_part_is_saved_under_plain_names(tmp_path):
    model = create_model("sifa_net_tiny", num_classes=4)
    names = set(model.state_dict())
    model.layer4 = torch.compile(model.layer4)
    assert set(model.state_dict()) != names
    save_checkpoint(tmp_path / "a.safetensors", model)
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert set(file.keys()) == names
