"""SIFA-Transformer: a plain Swin without its aggregate, and every explanation with it."""

import json

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sifa_core.data import Clip
from sifa_core.errors import ConfigError, ModelError, QueryError
from sifa_core.explain.class_evidence import grad_cam, stage_gradients
from sifa_core.explain.explanation import analyze
from sifa_core.explain.trace import Trace
from sifa_core.layers import temporal_names
from sifa_core.layers.temporal import OFFSET_SOURCES
from sifa_core.models import create_model, load_model, model_names, save_checkpoint
from tests.models.plain_swin import plain_swin
from tests.payloads import payload_of
from tests.small_models import give_offsets

TRANSFORMERS = [name for name in model_names() if name.startswith("sifa_transformer_")]
SMALL = {"width": 12, "head_width": 6, "layers": (2, 2, 2, 4), "window": 3, "num_classes": 5}
PLAIN = {"depths": (2, 2, 2, 4), "heads": (2, 4, 8, 16), "window": 3}


def awake(model: torch.nn.Module) -> torch.nn.Module:
    """The model with every parameter at random, so that nothing is hidden by a start at zero."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.data += 1
    return model


@pytest.fixture(scope="module")
def video() -> torch.Tensor:
    return torch.randn(2, 3, 6, 45, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def plain_logits(video: torch.Tensor) -> torch.Tensor:
    """What the slow Swin makes of the clips with the weights of `awake`, frame by frame."""
    state = awake(create_model("sifa_transformer_tiny", **SMALL, temporal="none").double()).state_dict()
    return torch.stack([plain_swin(state, clip, **PLAIN) for clip in video])


@pytest.mark.parametrize(
    "fields",
    [{"temporal": "none"}, {"gate": "layernorm"}, {"gate": "none"}, {"blocks": "every"}],
    ids=lambda fields: "-".join(fields.values()),
)
def test_without_the_aggregate_it_is_a_plain_swin_frame_by_frame(fields, video, plain_logits):
    model = create_model("sifa_transformer_tiny", **SMALL, **fields).double().eval()
    plain = awake(create_model("sifa_transformer_tiny", **SMALL, temporal="none").double())
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(".temporal." in key for key in missing)
    for layer in model.sifa_layers().values():
        assert not layer.offset.conv.weight.any()
        if fields.get("gate") == "none":  # an open gate: the aggregate itself is removed
            layer.attention.register_forward_hook(lambda module, inputs, output: (output[0] * 0, output[1]))
    with torch.no_grad():
        logits = model(video)
    assert (logits - plain_logits).abs().max() < 1e-6 * plain_logits.abs().max()


def test_the_aggregate_changes_the_outcome(video, plain_logits):
    model = awake(create_model("sifa_transformer_tiny", **SMALL).double()).eval()
    plain = awake(create_model("sifa_transformer_tiny", **SMALL, temporal="none").double())
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        assert (model(video) - plain_logits).abs().max() > 0.01 * plain_logits.abs().max()


@pytest.mark.parametrize(
    ("frames", "height", "width"), [(1, 33, 47), (4, 64, 32), (16, 50, 71), (17, 96, 96), (32, 32, 32), (64, 1, 1)]
)
def test_any_length_and_odd_sizes(frames, height, width):
    model = create_model("sifa_transformer_tiny", **SMALL).eval()
    shapes = {}
    for name, module in model.stage_outputs().items():
        module.register_forward_hook(lambda module, inputs, output, name=name: shapes.update({name: output.shape}))
    with torch.no_grad():
        assert model(torch.randn(1, 3, frames, height, width)).shape == (1, 5)
    for index, name in enumerate(("res2", "res3", "res4", "res5")):
        side = 4 * 2**index
        assert shapes[name] == (-(-frames // 4), 12 * 2**index, -(-height // side), -(-width // side))


def test_frames_of_other_clips_do_not_matter():
    model = awake(create_model("sifa_transformer_tiny", **SMALL)).eval()
    video = torch.randn(2, 3, 8, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(model(video), torch.cat([model(video[:1]), model(video[1:])]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temporal_stride", [1, 2, 4])
def test_the_temporal_stride_sets_the_feature_frames(temporal_stride):
    model = create_model("sifa_transformer_tiny", **SMALL, temporal_stride=temporal_stride).eval()
    assert model.temporal_stride == temporal_stride
    assert model.patch_embed(torch.zeros(1, 3, 8, 32, 32)).shape == (8 // temporal_stride, 12, 8, 8)


def test_gradients_reach_every_parameter():
    model = create_model("sifa_transformer_tiny", **SMALL, dropout=0.0, drop_path=0.0)
    for layer in model.sifa_layers().values():
        torch.nn.init.ones_(layer.gate.norm.weight)
    model(torch.randn(2, 3, 8, 96, 96)).logsumexp(1).sum().backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []


def test_a_closed_gate_opens():
    model = create_model("sifa_transformer_tiny", **SMALL)
    model(torch.randn(1, 3, 8, 64, 64)).logsumexp(1).sum().backward()
    assert all(layer.gate.norm.weight.grad.abs().sum() > 0 for layer in model.sifa_layers().values())


@pytest.mark.parametrize("temporal", temporal_names())
def test_every_temporal_module_runs_and_learns(temporal):
    model = create_model("sifa_transformer_tiny", **SMALL, temporal=temporal, dropout=0.0)
    logits = model(torch.randn(2, 3, 8, 40, 40))
    assert logits.shape == (2, 5)
    logits.logsumexp(1).sum().backward()
    assert model.patch_embed.proj.weight.grad.abs().sum() > 0
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("offset_from", OFFSET_SOURCES)
def test_every_source_of_offsets_moves_the_points(offset_from):
    model = awake(create_model("sifa_transformer_tiny", **SMALL, offset_from=offset_from)).eval()
    with torch.no_grad(), Trace(model) as trace:
        model(torch.randn(1, 3, 16, 40, 40))
    assert list(trace.layers) == list(model.sifa_layers())
    assert all(np.abs(layer.offset).mean() > 0.1 for layer in trace.layers.values())


def test_placement_of_the_sifa_blocks():
    assert list(create_model("sifa_transformer_tiny").sifa_layers()) == [
        *("res2.0", "res3.0"),
        *("res4.0", "res4.2", "res5.0", "res5.2"),
    ]
    every = create_model("sifa_transformer_tiny", **SMALL, blocks="every", stages=["res4", "res5"])
    assert list(every.sifa_layers()) == ["res4.0", "res4.1", "res5.0", "res5.1", "res5.2", "res5.3"]
    assert create_model("sifa_transformer_tiny", **SMALL, temporal="none").sifa_layers() == {}
    with torch.device("meta"):
        swin_s = create_model("sifa_transformer_s")
    assert list(swin_s.sifa_layers())[2:] == [*(f"res4.{i}" for i in range(0, 18, 2)), "res5.0"]
    drops = [block.drop_path for block in swin_s._blocks().values()]
    np.testing.assert_allclose(drops, np.linspace(0, 0.3, 24))


@pytest.mark.parametrize(
    ("name", "depths", "width", "heads"),
    [
        ("sifa_transformer_t", (2, 2, 6, 2), 96, (3, 6, 12, 24)),
        ("sifa_transformer_s", (2, 2, 18, 2), 96, (3, 6, 12, 24)),
        ("sifa_transformer_b", (2, 2, 18, 2), 128, (4, 8, 16, 32)),
        ("sifa_transformer_l", (2, 2, 18, 2), 192, (6, 12, 24, 48)),
    ],
)
def test_parameters_carry_timms_names(name, depths, width, heads):
    expected = {"patch_embed.proj.weight": (width, 3, 4, 4, 4), "patch_embed.proj.bias": (width,)}
    expected |= _norm("patch_embed.norm", width) | _norm("norm", 8 * width) | _linear("head.fc", 8 * width, 1000)
    for stage, depth in enumerate(depths):
        channels = width * 2**stage
        if stage > 0:
            expected |= _norm(f"layers.{stage}.downsample.norm", 2 * channels)
            expected[f"layers.{stage}.downsample.reduction.weight"] = (channels, 2 * channels)
        for block in (f"layers.{stage}.blocks.{position}" for position in range(depth)):
            expected |= _norm(f"{block}.norm1", channels) | _norm(f"{block}.norm2", channels)
            expected |= _linear(f"{block}.attn.qkv", channels, 3 * channels)
            expected |= _linear(f"{block}.attn.proj", channels, channels)
            expected[f"{block}.attn.relative_position_bias_table"] = (169, heads[stage])
            expected |= _linear(f"{block}.mlp.fc1", channels, 4 * channels)
            expected |= _linear(f"{block}.mlp.fc2", 4 * channels, channels)
    with torch.device("meta"):
        plain = create_model(name, temporal="none", num_classes=1000)
        model = create_model(name, num_classes=1000)
    assert {key: tuple(value.shape) for key, value in plain.state_dict().items()} == expected
    added = set(model.state_dict()) - set(expected)
    assert added
    assert all(".temporal." in key for key in added)


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _linear(name: str, channels: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, channels), f"{name}.bias": (out,)}


def test_a_plain_swin_b_costs_16_times_a_picture():
    with torch.device("meta"):
        model = create_model("sifa_transformer_b", temporal="none", patch_norm=False).eval()
        video = torch.randn(1, 3, 64, 224, 224)
    with FlopCounterMode(display=False) as counter:
        model(video)
    # 15.4 billion multiply-adds a picture (Swin, Table 1); the patches of four frames instead of one add 0.06
    assert counter.get_total_flops() / 2e9 == pytest.approx(16 * (15.4 + 0.06), rel=0.01)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_round_trip_through_a_checkpoint(name, tmp_path):
    small = {**SMALL, "width": 4, "head_width": 4}
    model = awake(create_model(name, **small, offset_from="difference", last_frame="skip")).eval()
    loaded = load_model(save_checkpoint(tmp_path / "own.safetensors", model))
    assert loaded.config == model.config
    assert loaded.info.name == name
    video = torch.randn(1, 3, 8, 40, 40)
    with torch.no_grad():
        assert torch.equal(loaded(video), model(video))


@pytest.fixture(scope="module")
def analysis():
    """A bright square that moves right, seen by a tiny model whose offsets are alive."""
    frames = np.repeat(np.random.default_rng(0).integers(0, 120, (1, 90, 130, 3), dtype=np.uint8), 16, axis=0)
    for t in range(16):
        frames[t, 30:55, 5 + 6 * t : 30 + 6 * t] = (250, 240, 90)
    model = give_offsets(create_model("sifa_transformer_tiny").eval())
    for layer in model.sifa_layers().values():
        torch.nn.init.ones_(layer.gate.norm.weight)
    return analyze(model, Clip.from_array(frames, fps=25, name="square.mp4"))


def test_the_trace_has_every_layer(analysis):
    assert analysis.layers == ["res2.0", "res3.0", "res4.0", "res4.2", "res5.0", "res5.2"]
    assert analysis.model.spatial_stride == 32
    for name, (rows, columns) in zip(
        analysis.layers, [(32, 40), (16, 20), (8, 10), (8, 10), (4, 5), (4, 5)], strict=True
    ):
        trace = analysis.traces[name]
        assert trace.offset.shape == (4, 9, 2, rows, columns)
        assert trace.weights.shape == (4, 9, rows, columns)
        assert np.abs(trace.offset).mean() > 0.1
        assert trace.saliency.shape == (4, rows, columns)


def test_two_levels_in_the_last_two_stages(analysis):
    for layer in ("res4.2", "res5.2"):
        points = analysis.sampling_points((1, 60, 40), layer, levels=2)
        assert points.points.shape == (81, 2)
        assert np.isfinite(points.points).all()
    with pytest.raises(QueryError, match="first SIFA layer"):
        analysis.sampling_points((1, 60, 40), "res5.0", levels=2)


@pytest.mark.parametrize("stage", ["res2", "res4", "res5"])
def test_grad_cam_is_gradients_times_activations(analysis, stage):
    model, captured = analysis.model, {}
    handle = model.stage_outputs()[stage].register_forward_hook(lambda *hooked: captured.update(map=hooked[2]))
    with torch.enable_grad():
        logit = model(analysis.video)[0, 3]
        handle.remove()
        gradient = torch.autograd.grad(logit, captured["map"])[0]
    assert captured["map"].ndim == 4
    expected = (gradient.mean((2, 3), keepdim=True) * captured["map"]).sum(1).clamp(min=0).detach().numpy()
    found = grad_cam(stage_gradients(model, analysis.video, 3)[stage])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    assert found.max() > 0


def test_figures_files_and_the_page_work_on_it(analysis, tmp_path):
    assert analysis.figure5((1, 60, 40)).ndim == 3
    assert analysis.motion_saliency("res3.0", 1).shape == (90, 130)
    assert analysis.offset_statistics("res5.2") is not None
    written = json.loads(analysis.save(tmp_path / "out.json").read_text())
    assert "sifa_transformer_tiny" in json.dumps(written)
    assert analysis.save(tmp_path / "out.html").stat().st_size > 10_000
    assert [layer["name"] for layer in payload_of(analysis)["layers"]] == analysis.layers


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"heads": 4}, "has no field heads"),
        ({"layers": (1, 2)}, "layers="),
        ({"width": 0}, "width=0"),
        ({"width": 100, "head_width": 32}, "head_width=32"),
        ({"mlp_ratio": 0}, "mlp_ratio=0"),
        ({"drop_path": 1}, "drop_path=1"),
        ({"blocks": "some"}, "blocks='some'"),
        ({"blocks": "official"}, "temporal='sifa_r'"),
        ({"patch_norm": "yes"}, "patch_norm='yes'"),
        ({"preset": "fast"}, "preset='fast'"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        create_model("sifa_transformer_tiny", **fields)


def test_wrong_input_is_one_sentence():
    with pytest.raises(ModelError, match="takes a floating-point tensor"):
        create_model("sifa_transformer_tiny", **SMALL)(torch.zeros(1, 3, 16, 32))
