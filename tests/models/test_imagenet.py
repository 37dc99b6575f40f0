"""Starting from image networks, checked against tables of published checkpoints built here from their architectures."""

import huggingface_hub
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from sifa_core.errors import CheckpointError, ConfigError
from sifa_core.models import create_model, imagenet, save_checkpoint
from sifa_core.models.imagenet import SOURCES, resnet_names, swin_names

RESNETS = {"sifa_net_r50": ((3, 4, 6, 3), 25_557_032), "sifa_net_r101": ((3, 4, 23, 3), 44_549_160)}
SWINS = {
    "sifa_transformer_t": ((2, 2, 6, 2), 96, 28_288_354),
    "sifa_transformer_s": ((2, 2, 18, 2), 96, 49_606_258),
    "sifa_transformer_b": ((2, 2, 18, 2), 128, 87_768_224),
    "sifa_transformer_l": ((2, 2, 18, 2), 192, 196_532_476),
}
"""Model -> blocks of its image network, width of Swin, and the published number of parameters."""
NAMINGS = ("timm", "authors", "torchvision")


def norm(name, channels):
    entries = {f"{name}.{entry}": (channels,) for entry in ("weight", "bias", "running_mean", "running_var")}
    return entries | {f"{name}.num_batches_tracked": ()}


def resnet_table(layers, width=64, classes=1000):
    """Name -> shape of a ResNet with bottlenecks; timm and torchvision agree."""
    table = {"conv1.weight": (width, 3, 7, 7), **norm("bn1", width)}
    channels = width
    for stage, blocks in enumerate(layers, start=1):
        inner = width * 2 ** (stage - 1)
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            table |= {f"{name}.conv1.weight": (inner, channels, 1, 1), **norm(f"{name}.bn1", inner)}
            table |= {f"{name}.conv2.weight": (inner, inner, 3, 3), **norm(f"{name}.bn2", inner)}
            table |= {f"{name}.conv3.weight": (4 * inner, inner, 1, 1), **norm(f"{name}.bn3", 4 * inner)}
            if block == 0:
                table |= {f"{name}.downsample.0.weight": (4 * inner, channels, 1, 1)}
                table |= norm(f"{name}.downsample.1", 4 * inner)
            channels = 4 * inner
    return table | {"fc.weight": (classes, channels), "fc.bias": (classes,)}


def swin_rows(layers, width, classes=1000):
    """(timm's name, the authors', torchvision's, shape) of every tensor; None where one keeps no such tensor."""

    def affine(timm, authors, torchvision, *shape):
        yield f"{timm}.weight", f"{authors}.weight", f"{torchvision}.weight", shape
        yield f"{timm}.bias", f"{authors}.bias", f"{torchvision}.bias", shape[:1]

    yield from affine("patch_embed.proj", "patch_embed.proj", "features.0.0", width, 3, 4, 4)
    yield from affine("patch_embed.norm", "patch_embed.norm", "features.0.2", width)
    for stage, blocks in enumerate(layers):
        channels, heads = width * 2**stage, width * 2**stage // 32
        for block in range(blocks):
            ours, theirs = f"layers.{stage}.blocks.{block}", f"features.{2 * stage + 1}.{block}"

            def part(name, other, *shape, ours=ours, theirs=theirs):
                yield from affine(f"{ours}.{name}", f"{ours}.{name}", f"{theirs}.{other}", *shape)

            yield from part("norm1", "norm1", channels)
            table, index = "attn.relative_position_bias_table", "attn.relative_position_index"
            yield f"{ours}.{table}", f"{ours}.{table}", f"{theirs}.{table}", (169, heads)
            yield None, f"{ours}.{index}", None, (49, 49)
            yield None, None, f"{theirs}.{index}", (49 * 49,)
            if block % 2 and stage < 3:
                yield None, f"{ours}.attn_mask", None, ((8 // 2**stage) ** 2, 49, 49)
            yield from part("attn.qkv", "attn.qkv", 3 * channels, channels)
            yield from part("attn.proj", "attn.proj", channels, channels)
            yield from part("norm2", "norm2", channels)
            yield from part("mlp.fc1", "mlp.0", 4 * channels, channels)
            yield from part("mlp.fc2", "mlp.3", channels, 4 * channels)
        if stage < 3:
            names = f"layers.{stage + 1}.downsample", f"layers.{stage}.downsample", f"features.{2 * stage + 2}"
            yield from affine(*(f"{name}.norm" for name in names), 4 * channels)
            yield *(f"{name}.reduction.weight" for name in names), (2 * channels, 4 * channels)
    yield from affine("norm", "norm", "norm", 8 * width)
    yield from affine("head.fc", "head", "head", classes, 8 * width)


def swin_table(naming, layers, width):
    column = NAMINGS.index(naming)
    return {row[column]: row[3] for row in swin_rows(layers, width) if row[column] is not None}


def empty(table):
    """Tensors of a table's shapes that take no memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in table.items()}


def numbers(table, seed=0):
    """Tensors with plausible numbers: positive variances, gains around one."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in table.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight", "downsample.1.weight")):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[name] = torch.randn(shape, generator=generator) * 0.1
    return state


def parameter_count(table):
    buffers = ("running_mean", "running_var", "num_batches_tracked", "relative_position_index", "attn_mask")
    return sum(torch.Size(shape).numel() for name, shape in table.items() if not name.endswith(buffers))


def assert_matches(name, mapped):
    """Every tensor but the temporal modules' and the head's is there in its shape, the stem without its time axis."""
    with torch.device("meta"):
        own = create_model(name).state_dict()
    own = {key: tuple(value.shape) for key, value in own.items() if ".temporal." not in key}
    own = {key: shape for key, shape in own.items() if not key.startswith(("fc.", "head."))}
    stem = "conv1.weight" if "conv1.weight" in own else "patch_embed.proj.weight"
    own[stem] = own[stem][:2] + own[stem][3:]
    assert {key: tuple(value.shape) for key, value in mapped.items()} == own


@pytest.mark.parametrize("name", RESNETS)
def test_a_resnet_maps_completely(name):
    layers, parameters = RESNETS[name]
    table = resnet_table(layers)
    assert parameter_count(table) == parameters
    assert_matches(name, resnet_names(empty(table)))


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("name", SWINS)
def test_a_swin_maps_completely(name, naming):
    layers, width, parameters = SWINS[name]
    table = swin_table(naming, layers, width)
    assert parameter_count(table) == parameters
    assert_matches(name, swin_names(empty(table)))


def test_the_three_namings_of_swin_mean_the_same_tensors():
    rows = list(swin_rows((2, 2, 6, 2), 96))
    mapped = []
    for column in range(3):
        state = {row[column]: torch.tensor(float(i)) for i, row in enumerate(rows) if row[column] is not None}
        mapped.append(swin_names(state))
    assert mapped[0] == mapped[1] == mapped[2]
    assert mapped[0] == {
        row[0]: torch.tensor(float(i)) for i, row in enumerate(rows) if row[0] and not row[0].startswith("head.")
    }


@pytest.fixture(scope="module")
def image_resnet():
    return numbers(resnet_table((1, 1, 1, 1), width=8, classes=10))


@pytest.fixture(scope="module")
def resnet_file(image_resnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet") / "model.safetensors"
    safetensors.torch.save_file(image_resnet, path, {"format": "pt"})
    return path


SMALL = {"layers": (1, 1, 1, 1), "width": 8, "num_classes": 5}


def plain_resnet(state, picture):
    """Features (1, C) of one picture (1, 3, H, W), written from the paper of ResNet; one block a stage."""

    def conv_norm(x, conv, bn, **options):
        x = F.conv2d(x, state[f"{conv}.weight"], **options)
        running = state[f"{bn}.running_mean"], state[f"{bn}.running_var"]
        return F.batch_norm(x, *running, state[f"{bn}.weight"], state[f"{bn}.bias"])

    x = F.max_pool2d(conv_norm(picture, "conv1", "bn1", stride=2, padding=3).relu(), 3, 2, 1)
    for stage in range(1, 5):
        name, stride = f"layer{stage}.0", 1 if stage == 1 else 2
        y = conv_norm(x, f"{name}.conv1", f"{name}.bn1").relu()
        y = conv_norm(y, f"{name}.conv2", f"{name}.bn2", stride=stride, padding=1).relu()
        y = conv_norm(y, f"{name}.conv3", f"{name}.bn3")
        x = (y + conv_norm(x, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride)).relu()
    return x.mean((2, 3))


@pytest.mark.parametrize("inflate", ["central", "mean"])
def test_on_a_still_clip_a_network_starts_as_its_image_network(image_resnet, resnet_file, inflate):
    model = create_model("sifa_net_r50", weights=resnet_file, inflate=inflate, **SMALL).eval()
    assert model.config.gate == "channel"
    picture = torch.randn(1, 3, 64, 80)
    features = plain_resnet(image_resnet, picture)
    with torch.no_grad():
        logits = model(picture[:, :, None].expand(-1, -1, 8, -1, -1))
        torch.testing.assert_close(logits, model.fc(features), rtol=1e-4, atol=1e-5)
        assert logits.abs().sum() > 0


def test_without_a_gate_the_aggregate_changes_what_was_learnt(resnet_file):
    video = torch.randn(1, 3, 8, 64, 64)
    with torch.no_grad():
        gated, raw = (
            create_model("sifa_net_r50", weights=resnet_file, **SMALL, **fields).eval()
            for fields in ({}, {"gate": "none"})
        )
        raw.fc.load_state_dict(gated.fc.state_dict())
        assert raw.config.gate == "none"
        assert not torch.allclose(raw(video), gated(video), rtol=0.01)


def test_the_last_batch_norm_takes_the_loaded_value(image_resnet, resnet_file):
    model = create_model("sifa_net_r50", weights=resnet_file, **SMALL)
    assert torch.equal(model.layer4[0].bn3.weight, image_resnet["layer4.0.bn3.weight"])
    assert not create_model("sifa_net_r50", **SMALL).layer4[0].bn3.weight.any()


def test_central_inflation_sees_one_frame_and_mean_all(image_resnet, resnet_file):
    kernel = image_resnet["conv1.weight"]
    central, mean = (
        create_model("sifa_net_r50", weights=resnet_file, inflate=how, **SMALL).conv1.weight
        for how in ("central", "mean")
    )
    assert torch.equal(central[:, :, 2], kernel)
    assert not central[:, :, [0, 1, 3]].any()
    assert torch.equal(mean, (kernel / 4)[:, :, None].expand(-1, -1, 4, -1, -1))


def test_what_was_not_matched_is_listed(resnet_file):
    model = create_model("sifa_net_r50", weights=resnet_file, **SMALL)
    start = model.info.facts["start"]
    assert start["weights"] == "model.safetensors"
    assert start["inflate"] == "central"
    assert start["left_out_of_the_file"] == ["fc.bias", "fc.weight"]
    parts = ("offset.conv.weight", "offset.conv.bias", "gate.gain")
    temporal = {f"layer{stage}.0.temporal.{part}" for stage in (2, 3, 4) for part in parts}
    assert set(start["not_in_the_file"]) == temporal | {"fc.weight", "fc.bias"}
    assert not model.info.is_trained


def test_the_official_network_starts_from_it_too(tmp_path):
    table = resnet_table((1, 2, 2, 2), width=8)
    safetensors.torch.save_file(numbers(table), tmp_path / "model.safetensors")
    fields = {"layers": (1, 2, 2, 2), "width": 8, "num_classes": 5}
    model = create_model("sifa_net_r50", preset="official", weights=tmp_path / "model.safetensors", **fields)
    assert model.config.gate == "none"  # as its authors have it
    state = model.state_dict()
    assert torch.equal(state["layer4_dual.1.conv2.weight"], state["layer4.1.conv2.weight"])
    assert torch.equal(state["layer4_dual.0.bn3.running_var"], numbers(table)["layer4.0.bn3.running_var"])
    own = ("fc.", "fc_dual.")
    left = [key for key in model.info.facts["start"]["not_in_the_file"] if not key.startswith(own)]
    assert left
    assert all(".temporal." in key or ".context." in key for key in left)


def test_the_hub_is_asked_for_the_right_network(resnet_file, monkeypatch):
    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *names: asked.append(names) or str(resnet_file))
    model = create_model("sifa_net_r101", weights="imagenet", **SMALL)
    assert asked == [("timm/resnet101.tv_in1k", "model.safetensors")]
    assert model.info.facts["start"]["weights"] == "timm/resnet101.tv_in1k"
    assert set(SOURCES) == {*RESNETS, *SWINS}


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("preset", ["paper", "official"])
def test_a_transformer_starts_as_its_image_network(tmp_path, naming, preset):
    table = swin_table(naming, (2, 2, 2, 2), 32)
    path = tmp_path / "swin.pth"
    torch.save({"model": numbers(table)}, path)
    small = {"layers": (2, 2, 2, 2), "width": 32, "num_classes": 5}
    model = create_model("sifa_transformer_t", preset=preset, weights=path, **small).eval()
    start = model.info.facts["start"]
    assert all(".temporal." in key or key.startswith("head.") for key in start["not_in_the_file"])
    embedding_norm = ("patch_embed.norm.", "features.0.2.") if preset == "official" else ()
    for key in start["left_out_of_the_file"]:
        assert key.startswith(("head.", *embedding_norm)) or key.endswith(("relative_position_index", "attn_mask"))
    plain = create_model("sifa_transformer_t", **small, temporal="none", patch_norm=preset == "paper").eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    video = torch.randn(1, 3, 4, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(video), plain(video), rtol=1e-4, atol=1e-5)


def test_torch_files_work_too(image_resnet, tmp_path):
    torch.save(image_resnet, tmp_path / "resnet50-0676ba61.pth")
    model = create_model("sifa_net_r50", weights=str(tmp_path / "resnet50-0676ba61.pth"), **SMALL)
    assert torch.equal(model.layer1[0].conv2.weight, image_resnet["layer1.0.conv2.weight"])


def test_what_does_not_fit_is_one_sentence(image_resnet, tmp_path):
    state = dict(image_resnet)
    del state["layer3.0.bn2.weight"]
    state["layer2.0.conv2.weight"] = torch.zeros(16, 16, 5, 5)
    state["layer2.0.extra"] = torch.zeros(1)
    safetensors.torch.save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError) as caught:
        create_model("sifa_net_r50", weights=tmp_path / "odd.safetensors", **SMALL)
    message = str(caught.value)
    assert "odd.safetensors does not fit sifa_net_r50" in message
    assert "layer3.0.bn2.weight is missing" in message
    assert "layer2.0.extra is unexpected" in message
    assert "layer2.0.conv2.weight is (16, 16, 5, 5) instead of (16, 16, 3, 3)" in message


def test_other_mistakes_are_one_sentence(resnet_file, tmp_path, monkeypatch):
    def offline(*names):
        raise huggingface_hub.errors.LocalEntryNotFoundError("The hub cannot be reached.")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(CheckpointError, match=r"timm/resnet50.tv_in1k cannot be downloaded: The hub cannot be reached"):
        create_model("sifa_net_r50", weights="imagenet", **SMALL)
    with pytest.raises(ConfigError, match="no weights 'imagenet' for sifa_net_tiny; there are for sifa_net_r50"):
        create_model("sifa_net_tiny", weights="imagenet")
    with pytest.raises(ConfigError, match=r"inflate='half' is not possible; choose one of central, mean"):
        create_model("sifa_net_r50", weights=resnet_file, inflate="half", **SMALL)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint file gone.pth"):
        create_model("sifa_net_r50", weights="gone.pth", **SMALL)
    own = save_checkpoint(tmp_path / "own.safetensors", create_model("sifa_net_r50", **SMALL))
    with pytest.raises(CheckpointError, match=r"own.safetensors holds a video network .* use load_model"):
        create_model("sifa_net_r50", weights=own, **SMALL)


@pytest.mark.parametrize("name", SWINS)
def test_swin_may_start_from_the_larger_imagenet(name, monkeypatch):
    """The repository of the name's own size is asked for, and its head of 21,841 classes left out."""
    depths, width, _ = SWINS[name]
    table = {timm: shape for timm, *_, shape in swin_rows(depths, width, classes=21_841) if timm is not None}
    with torch.device("meta"):
        asked, state = [], {key: torch.empty(shape) for key, shape in table.items()}
        monkeypatch.setattr(imagenet, "download", lambda repository: asked.append(repository))
        monkeypatch.setattr(imagenet, "read_weights", lambda path: (state, {}))
        model = create_model(name, weights="imagenet22k")
    size = {"t": "tiny", "s": "small", "b": "base", "l": "large"}[name[-1]]
    assert asked == [f"timm/swin_{size}_patch4_window7_224.ms_in22k"]
    assert model.info.facts["start"]["left_out_of_the_file"] == [key for key in table if key.startswith("head.")]
    with pytest.raises(ConfigError, match="no weights 'imagenet22k' for sifa_net_r50; there are for sifa_t"):
        create_model("sifa_net_r50", weights="imagenet22k")
