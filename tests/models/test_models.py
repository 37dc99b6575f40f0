"""Every SIFA-Net builds, runs, learns and keeps its special starts."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from sifa_core.errors import ConfigError, ModelError, UnknownNameError
from sifa_core.layers.global_context import GlobalContext
from sifa_core.layers.sifa import InterFrameAttention
from sifa_core.models import create_model, model_names
from sifa_core.models.heads import summed_loss
from sifa_core.models.resnet import Bottleneck, Stem, max_of_pairs

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


def test_alternate_blocks_leave_the_first_of_each_stage():
    layers = list(create_model("sifa_net_r50", **SMALL, blocks="alternate").sifa_layers())
    assert layers == ["res3.1", "res3.3", "res4.1", "res4.3", "res4.5", "res5.1"]


def test_global_context_stands_between_alternate_blocks():
    model = create_model("sifa_net_r50", **SMALL, blocks="alternate", global_context=True, stages=["res4", "res5"])
    contexts = [name for name, module in model.named_modules() if isinstance(module, GlobalContext)]
    assert contexts == [f"layer{stage}.{i}.context" for stage, last in ((3, 5), (4, 3)) for i in range(0, last, 2)]


def test_global_context_starts_as_if_it_were_not_there_and_is_added_to_the_branch():
    torch.manual_seed(0)
    block = Bottleneck(8, 2, 1, has_context=True).eval()
    torch.nn.init.ones_(block.bn3.weight)
    x = torch.rand(6, 8, 5, 4)
    plain = Bottleneck(8, 2, 1).eval()
    plain.load_state_dict({key: value for key, value in block.state_dict().items() if "context" not in key})
    torch.nn.init.zeros_(block.context.expand.weight)
    torch.nn.init.constant_(block.context.expand.bias, 100.0)  # so large that the last ReLU lets everything pass
    branch = block(x, 3) - 100 - x
    assert torch.allclose((x + branch).relu(), plain(x, 3), atol=1e-4)


def test_a_dual_head_learns_from_the_sum_and_answers_with_the_mean():
    torch.manual_seed(0)
    model = create_model("sifa_net_r50", **SMALL, dual_head=True, dropout=0.0)
    video = torch.randn(2, 3, 16, 64, 64)
    labels = torch.tensor([1, 3])
    logits = model(video)
    assert logits.shape == (2, 5, 2)
    summed_loss(logits, labels, F.cross_entropy).backward()
    assert model.fc.weight.grad.abs().sum() > 0
    assert model.fc_dual.weight.grad.abs().sum() > 0
    model.eval()
    seen = []
    for head in (model.fc, model.fc_dual):
        head.register_forward_hook(lambda module, inputs, output: seen.append(output.softmax(1)))
    with torch.no_grad():
        probabilities = model(video).softmax(dim=1)
    torch.testing.assert_close(probabilities, (seen[0] + seen[1]) / 2)


@pytest.mark.parametrize(("frames", "pairs"), [(4, [(0, 1), (2, 3)]), (5, [(0, 1), (2, 3)]), (1, [(0, 0)])])
def test_the_dual_heads_features_are_the_larger_of_two_frames(frames, pairs):
    x = torch.randn(2 * frames, 3, 4, 5).to(memory_format=torch.channels_last)
    pooled, count = max_of_pairs(x, frames)
    assert count == len(pairs)
    expected = [torch.maximum(x[clip * frames + a], x[clip * frames + b]) for clip in (0, 1) for a, b in pairs]
    assert torch.equal(pooled, torch.stack(expected))
    assert pooled.is_contiguous(memory_format=torch.channels_last)


def test_the_official_preset_starts_from_an_image_network(tmp_path):
    image = create_model("sifa_net_r50", width=8, temporal="none", temporal_stride=1).state_dict()
    image["conv1.weight"] = image["conv1.weight"][:, :, 0]
    torch.save(image, tmp_path / "resnet50.pth")
    model = create_model("sifa_net_r50", preset="official", weights=tmp_path / "resnet50.pth", width=8)
    assert model.info.facts["start"]["left_out_of_the_file"] == ["fc.weight", "fc.bias"]
    state = model.state_dict()
    for stage in ("layer4", "layer4_dual"):
        assert torch.equal(state[f"{stage}.2.conv2.weight"], image["layer4.2.conv2.weight"])


def test_stages_place_the_blocks():
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


@pytest.mark.parametrize("temporal", ["none", "sifa", "sifa_star"])
def test_without_aggregates_the_network_is_a_resnet_frame_by_frame(temporal):
    torch.manual_seed(0)
    model = create_model("sifa_net_tiny", temporal=temporal, temporal_stride=1).double().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    video = torch.randn(1, 3, 3, 48, 64, dtype=torch.float64)
    with torch.no_grad():
        by_frame = [plain_features(model.state_dict(), frame) for frame in video[0].transpose(0, 1)]
        logits = torch.stack(by_frame).mean(0) @ model.fc.weight.T + model.fc.bias
        if temporal != "none":
            assert (model(video)[0] - logits).abs().max() > 1e-3
        for module in model.modules():
            if isinstance(module, InterFrameAttention):
                module.register_forward_hook(lambda _, inputs, output: (torch.zeros_like(output[0]), output[1]))
        assert (model(video)[0] - logits).abs().max() < 1e-6


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
    ("fields", "message"),
    [
        ({"heads": 4}, "has no field heads"),
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
        ({"blocks": "some"}, "blocks='some'"),
        ({"dual_head": 1}, "dual_head=1 is not possible; it is true or false"),
        ({"global_context": True}, "global_context=True is not possible without blocks='alternate'"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        create_model("sifa_net_tiny", **fields)


def test_unknown_model_lists_the_known():
    with pytest.raises(UnknownNameError, match="sifa_net_r101, sifa_net_r50, sifa_net_tiny"):
        create_model("resnet")
