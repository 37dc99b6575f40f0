"""Every SIFA-Net builds, runs, learns and keeps its special starts."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from sifa_core.errors import ConfigError, ModelError, UnknownNameError
from sifa_core.models import create_model, model_names
from sifa_core.models.resnet import Stem

SMALL = {"num_classes": 5, "width": 8}
SIFA_NETS = [name for name in model_names() if name.startswith("sifa_net_")]


@pytest.mark.parametrize("name", SIFA_NETS)
def test_forward_and_backward(name):
    model = create_model(name, **SMALL, dropout=0.0)
    logits = model(torch.randn(2, 3, 8, 40, 40))
    assert logits.shape == (2, 5)
    logits.logsumexp(1).sum().backward()
    assert model.fc.weight.grad.abs().sum() > 0
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 33, 47), (4, 64, 32), (6, 32, 32), (16, 50, 71)])
def test_any_length_and_odd_sizes(frames, height, width):
    model = create_model("sifa_net_tiny").eval()
    assert model(torch.randn(1, 3, frames, height, width)).shape == (1, 15)


@pytest.mark.parametrize("name", SIFA_NETS)
def test_offset_convolutions_are_zero_after_construction(name):
    model = create_model(name, **SMALL)
    layers = model.sifa_layers()
    assert len(layers) >= 4
    for layer in layers.values():
        assert not layer.offset.conv.weight.any()
        assert not layer.offset.conv.bias.any()
    assert not any(block.bn3.weight.any() for block in model.stage_outputs().values())


def test_the_tiny_model_has_two_levels_in_its_last_two_stages():
    names = list(create_model("sifa_net_tiny").sifa_layers())
    assert names == ["res3.0", "res4.0", "res4.1", "res5.0", "res5.1"]


def test_stages_switch_places_the_blocks():
    assert list(create_model("sifa_net_r50", **SMALL, stages=["res5"]).sifa_layers()) == ["res5.0", "res5.1", "res5.2"]
    assert create_model("sifa_net_r50", **SMALL, temporal="none").sifa_layers() == {}


def test_parameters_carry_torchvisions_names():
    expected = {"conv1.weight", "fc.weight", "fc.bias"}
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    expected |= {f"bn1.{entry}" for entry in norm}
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for position in range(blocks):
            prefix = f"layer{stage}.{position}"
            expected |= {f"{prefix}.conv{i}.weight" for i in (1, 2, 3)}
            expected |= {f"{prefix}.bn{i}.{entry}" for i in (1, 2, 3) for entry in norm}
            if position == 0:
                expected |= {f"{prefix}.downsample.0.weight"} | {f"{prefix}.downsample.1.{entry}" for entry in norm}
    assert set(create_model("sifa_net_r50", temporal="none").state_dict()) == expected


def test_a_plain_network_is_a_resnet_frame_by_frame():
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", temporal="none", temporal_stride=1).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    video = torch.randn(1, 3, 3, 48, 64)
    with torch.no_grad():
        by_frame = [plain_features(model.state_dict(), frame) for frame in video[0].transpose(0, 1)]
        logits = torch.stack(by_frame).mean(0) @ model.fc.weight.T + model.fc.bias
        torch.testing.assert_close(model(video)[0], logits, rtol=1e-5, atol=1e-6)


def plain_features(state: dict, frame: torch.Tensor) -> torch.Tensor:
    """A ResNet written straight from its paper for one frame (3, H, W) -> (C,); blocks 1-1-2-2, no temporal part."""

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])

    x = F.conv2d(frame[None], state["conv1.weight"][:, :, 0], stride=2, padding=3)
    x = F.max_pool2d(norm(x, "bn1").relu(), 3, 2, 1)
    for stage, blocks in enumerate((1, 1, 2, 2), start=1):
        for position in range(blocks):
            name, stride = f"layer{stage}.{position}", 2 if stage > 1 and position == 0 else 1
            y = norm(F.conv2d(x, state[f"{name}.conv1.weight"]), f"{name}.bn1").relu()
            y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1), f"{name}.bn2").relu()
            y = norm(F.conv2d(y, state[f"{name}.conv3.weight"]), f"{name}.bn3")
            if position == 0:
                x = norm(F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
            x = (x + y).relu()
    return x.mean((2, 3))[0]


@pytest.mark.parametrize("temporal_stride", [1, 2, 4])
def test_the_stem_is_a_3d_convolution(temporal_stride):
    stem = Stem(6, temporal_stride)
    video = torch.randn(2, 3, 8, 21, 30)
    expected = F.conv3d(video, stem.weight, stride=(temporal_stride, 2, 2), padding=(0, 3, 3))
    torch.testing.assert_close(stem(video), expected.transpose(1, 2).flatten(0, 1), rtol=1e-4, atol=1e-4)


def test_a_short_clip_repeats_its_last_frame():
    stem = Stem(6, 4)
    video = torch.randn(1, 3, 6, 16, 16)
    padded = torch.cat([video, video[:, :, -1:], video[:, :, -1:]], dim=2)
    assert torch.equal(stem(video), stem(padded))


def test_a_plain_r50_costs_what_the_paper_says():
    with torch.device("meta"):
        model = create_model("sifa_net_r50", temporal="none").eval()
        video = torch.randn(1, 3, 16, 256, 256)
    with FlopCounterMode(display=False) as counter:
        model(video)
    assert counter.get_total_flops() / 2e9 == pytest.approx(23, rel=0.02)  # Table 1a, multiply-adds


@pytest.mark.parametrize("shape", [(1, 3, 16, 32), (1, 1, 16, 32, 32), (1, 3, 0, 32, 32)])
def test_wrong_input_is_one_sentence(shape):
    with pytest.raises(ModelError, match="takes a floating-point tensor"):
        create_model("sifa_net_tiny")(torch.zeros(shape))


def test_integer_input_is_refused():
    with pytest.raises(ModelError, match="uint8"):
        create_model("sifa_net_tiny")(torch.zeros(1, 3, 4, 32, 32, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"heads": 4}, "has no switch heads"),
        ({"layers": (1, 2)}, "layers="),
        ({"layers": (1, 2, 0, 1)}, r"layers\[2\]=0"),
        ({"layers": 4}, "layers=4 is not possible; it is a list"),
        ({"width": 0}, "width=0"),
        ({"dropout": "half"}, "dropout='half'"),
        ({"num_classes": True}, "num_classes=True"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"stages": ["res6"]}, "stages='res6'"),
        ({"temporal": "lstm"}, "temporal='lstm'"),
        ({"preset": "fast"}, "preset='fast'"),
    ],
)
def test_bad_switches_are_named(switches, message):
    with pytest.raises(ConfigError, match=message):
        create_model("sifa_net_tiny", **switches)


def test_unknown_model_lists_the_known():
    with pytest.raises(UnknownNameError, match="sifa_net_r101, sifa_net_r50, sifa_net_tiny"):
        create_model("resnet")
