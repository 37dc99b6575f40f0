"""Checkpoints of the authors' SIFA-Net: every name and shape, and the forward that their code means."""

import argparse
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sifa_core.errors import CheckpointError
from sifa_core.models import create_model, load_model
from sifa_core.models.official import convert_official, official_architecture
from tests.models.test_official_transformer import authors_shapes as authors_transformer

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
LAYERS, WIDTH, FRAMES, CLASSES = (1, 2, 2, 3), 16, 4, 5
SHIFTED = 1
"""Position parity of the blocks with SIFA in a stage; the others have global context."""


def authors_shapes(layers, *, width=64, frames=4, classes=400, kernels=(3, 3, 3)) -> dict[str, tuple[int, ...]]:
    """Names and shapes of their state dict; `frames` is after the stem's stride of 4."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (width, 3, 4, 7, 7)}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{entry}": (channels,) for entry in NORM[:-1]})
        shapes[f"{name}.num_batches_tracked"] = ()

    norm("bn1", width)
    stages = [("layer1", 0, width, frames), *((f"layer{i + 1}", i, width * 2 ** (i + 1), frames) for i in (1, 2, 3))]
    stages.append(("layer4_dual", 3, width * 16, frames // 2))
    for stage, index, inputs, length in stages:
        inside, outside = width * 2**index, width * 2**index * 4
        for position in range(layers[index]):
            block, kernel = f"{stage}.{position}", kernels[max(index - 1, 0)]
            shapes[f"{block}.conv1.weight"] = (inside, inputs if position == 0 else outside, 1, 1, 1)
            shapes[f"{block}.conv2.weight"] = (inside, inside, 1, 3, 3)
            shapes[f"{block}.conv3.weight"] = (outside, inside, 1, 1, 1)
            for number, channels in ((1, inside), (2, inside), (3, outside)):
                norm(f"{block}.bn{number}", channels)
            if position == 0:
                shapes[f"{block}.downsample.0.weight"] = (outside, inputs, 1, 1, 1)
                norm(f"{block}.downsample.1", outside)
            if index > 0 and position % 2 == SHIFTED:
                shapes[f"{block}.conv_offset.weight"] = (2 * kernel**2, inside, 1, 3, 3)
                shapes[f"{block}.def_cor.weight"] = (inside, length, kernel, kernel)
            elif index > 0:
                shapes[f"{block}.fc1.weight"], shapes[f"{block}.fc1.bias"] = (outside // 16, outside), (outside // 16,)
                shapes[f"{block}.fc2.weight"], shapes[f"{block}.fc2.bias"] = (outside, outside // 16), (outside,)
    for head in ("fc", "fc_dual"):
        shapes[f"{head}.weight"], shapes[f"{head}.bias"] = (classes, width * 32), (classes,)
    return shapes


@pytest.fixture(scope="module")
def authors() -> dict[str, Tensor]:
    """A small checkpoint in their names with everything at random but the frozen scale."""
    torch.manual_seed(0)
    state = {}
    for name, shape in authors_shapes(LAYERS, width=WIDTH, frames=FRAMES, classes=CLASSES).items():
        fan_in = max(1, torch.Size(shape[1:]).numel())
        state[name] = torch.randn(shape, dtype=torch.float64) * (2 / fan_in) ** 0.5
        if name.endswith("def_cor.weight"):
            state[name] = torch.full(shape, 1 / shape[0], dtype=torch.float64)
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith(".weight")):
            state[name] = torch.rand(shape, dtype=torch.float64) + 0.5
        if name.endswith(("bn2.weight", "bn3.weight")):
            state[name] *= 0.4  # attention is cubic in its input: without this, the last stage is huge
        if name.endswith(("running_mean", ".bias")):
            state[name] = torch.randn(shape, dtype=torch.float64) * 0.2
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
    return state


class AuthorsNet:
    """What their network computes for one clip, from their tensors. Maps are (C, T, H, W)."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias, mean, var = (self.state[f"{name}.{entry}"][:, None, None, None] for entry in NORM[:-1])
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv(self, x: Tensor, name: str, stride: tuple[int, int, int] = (1, 1, 1)) -> Tensor:
        kernel = self.state[f"{name}.weight"]
        padding = [0, kernel.shape[3] // 2, kernel.shape[4] // 2]
        return F.conv3d(x[None], kernel, stride=stride, padding=padding)[0]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return self.state[f"{name}.weight"] @ x + self.state[f"{name}.bias"]

    def attend(self, x: Tensor, block: str) -> Tensor:
        """The aggregate of frames t-1 and t for t = 1, 2, ..., added to frame t-1; the last frame stays."""
        result = x.clone()
        channels, frames, height, width = x.shape
        taps = self.state[f"{block}.def_cor.weight"].shape[-1]
        for t in range(1, frames):
            before, now = x[:, t - 1], x[:, t]
            saliency = torch.sigmoid(now - before) * now + now
            offset = F.conv2d(saliency[None], self.state[f"{block}.conv_offset.weight"][:, :, 0], padding=1)[0]
            for tap in range(taps**2):
                rows = torch.arange(height)[:, None] + tap // taps - taps // 2 + offset[2 * tap]
                columns = torch.arange(width)[None, :] + tap % taps - taps // 2 + offset[2 * tap + 1]
                value = torch.zeros_like(now)
                for down, right in itertools.product((0, 1), (0, 1)):
                    row, column = rows.floor() + down, columns.floor() + right
                    share = (1 - (rows - row).abs()) * (1 - (columns - column).abs())
                    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                    picked = now[:, row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()]
                    value += picked * share * inside
                result[:, t - 1] += (before * value).sum(0) / channels * value
        return result

    def block(self, x: Tensor, name: str, stride: int) -> Tensor:
        step = (1, stride, stride)
        y = self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1").relu()
        y = self.norm(self.conv(y, f"{name}.conv2", step), f"{name}.bn2").relu()
        if f"{name}.conv_offset.weight" in self.state:
            y = self.attend(y, name)
        y = self.norm(self.conv(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in self.state:
            x = self.norm(self.conv(x, f"{name}.downsample.0", step), f"{name}.downsample.1")
        if f"{name}.fc1.weight" in self.state:
            context = self.linear(self.linear(y.mean(dim=(1, 2, 3)), f"{name}.fc1").relu(), f"{name}.fc2")
            y = y + context[:, None, None, None]
        return (x + y).relu()

    def stage(self, x: Tensor, name: str, blocks: int, stride: int) -> Tensor:
        for position in range(blocks):
            x = self.block(x, f"{name}.{position}", stride if position == 0 else 1)
        return x

    def logits(self, video: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(self.conv(video, "conv1", (4, 2, 2)), "bn1").relu()
        x = F.max_pool3d(x[None], (1, 3, 3), (1, 2, 2), (0, 1, 1))[0]
        for index in (0, 1, 2):
            x = self.stage(x, f"layer{index + 1}", LAYERS[index], 2 if index else 1)
        pairs = torch.stack([torch.maximum(x[:, t], x[:, t + 1]) for t in range(0, x.shape[1] - 1, 2)], dim=1)
        first = self.stage(x, "layer4", LAYERS[3], 2).mean(dim=(1, 2, 3))
        second = self.stage(pairs, "layer4_dual", LAYERS[3], 1).mean(dim=(1, 2, 3))
        return self.linear(first, "fc"), self.linear(second, "fc_dual")


def build(state: dict[str, Tensor]) -> torch.nn.Module:
    name, fields = official_architecture(state)
    model = create_model(name, **fields, dropout=0.0).double()
    model.load_state_dict(convert_official(state))
    return model


@pytest.mark.parametrize("frames", [4, 3, 2])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_converted_checkpoint_computes_what_their_code_means(authors, prefix, frames):
    model = build({prefix + name: value for name, value in authors.items()}).eval()
    video = torch.randn(2, 3, 4 * frames, 64, 48, dtype=torch.float64)
    with torch.no_grad():
        probabilities = model(video).softmax(dim=1)
    for clip in range(2):
        first, second = AuthorsNet(authors).logits(video[clip])
        expected = (first.softmax(0) + second.softmax(0)) / 2
        torch.testing.assert_close(probabilities[clip], expected, rtol=1e-6, atol=1e-9)
        assert (first.softmax(0) - second.softmax(0)).abs().max() > 0.01  # the heads differ, so both were compared


def test_offsets_of_the_checkpoint_matter(authors):
    video = torch.randn(1, 3, 16, 64, 48, dtype=torch.float64)
    still = {key: value * 0 if key.endswith("conv_offset.weight") else value for key, value in authors.items()}
    with torch.no_grad():
        assert not torch.allclose(build(authors).eval()(video), build(still).eval()(video), rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "layers", "frames", "kernel"),
    [
        ("sifa_net_r50", (3, 4, 6, 3), 4, 3),
        ("sifa_net_r50", (3, 4, 6, 3), 8, 5),
        ("sifa_net_r101", (3, 4, 23, 3), 16, 3),
    ],
)
def test_every_name_and_shape_of_a_full_checkpoint_fits(name, layers, frames, kernel):
    shapes = authors_shapes(layers, frames=frames, kernels=(kernel,) * 3)
    state = {key: torch.full((), 1 / (shape or (1,))[0]).expand(shape) for key, shape in shapes.items()}
    found, fields = official_architecture(state)
    assert found == name
    with torch.device("meta"):
        model = create_model(name, **fields)
        preset = create_model(name, preset="official", kernel_size=kernel, num_frames=4 * frames)
    assert model.config == preset.config
    converted = {key: tuple(value.shape) for key, value in convert_official(state).items()}
    assert converted == {key: tuple(value.shape) for key, value in model.state_dict().items()}


def test_load_model_takes_what_their_training_saves(authors, tmp_path):
    path = tmp_path / "current.pth"
    options = argparse.Namespace(net_name="c2d_sifa_resnet50", C={"sampler": {"clip_length": 16}})
    torch.save({"opt": options, "model": {f"module.{k}": v for k, v in authors.items()}, "epoch": 64}, path)
    model = load_model(path)
    assert (model.info.name, model.info.num_frames, len(model.info.labels)) == ("sifa_net_r50", 4 * FRAMES, CLASSES)
    assert list(model.sifa_layers()) == ["res3.1", "res4.1", "res5.1"]
    expected = build(authors).state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value.double(), expected[key].to(value.dtype).double()), key


@pytest.mark.parametrize(("expected", "width"), [("sifa_transformer_b", 128), ("sifa_transformer_l", 192)])
def test_a_transformer_of_theirs_is_recognised(expected, width):
    heads = tuple(width // 32 * 2**stage for stage in range(4))
    shapes = authors_transformer(width, (2, 2, 18, 2), heads, frames=16, classes=174)
    state = {key: torch.full((), 1 / shape[0]).expand(shape) for key, shape in shapes.items()}
    name, fields = official_architecture(state)
    assert name == expected
    with torch.device("meta"):
        model = create_model(name, **fields)
        assert model.config == create_model(name, preset="official", num_classes=174, num_frames=64).config
    assert set(convert_official(state)) == set(model.state_dict())


def test_other_checkpoints_are_left_alone():
    own = create_model("sifa_net_tiny", width=8).state_dict()
    assert official_architecture(own) is None
    with pytest.raises(CheckpointError, match="not a checkpoint of the authors"):
        convert_official(own)


def test_what_cannot_be_expressed_is_said(authors, tmp_path):
    scaled = authors | {"layer2.1.def_cor.weight": authors["layer2.1.def_cor.weight"] * 2}
    with pytest.raises(CheckpointError, match=r"layer2.1.def_cor.weight is not 1/32 throughout"):
        convert_official(scaled)
    with pytest.raises(CheckpointError, match="deep stem"):
        convert_official(authors | {"conv2.weight": torch.zeros(8, 8, 1, 3, 3)})
    mixed = authors | {"layer4.1.conv_offset.weight": torch.zeros(50, 128, 1, 3, 3)}
    with pytest.raises(CheckpointError, match=r"kernels of sizes \[3, 5\]"):
        official_architecture(mixed)
    path = tmp_path / "cut.pth"
    torch.save({key: value for key, value in authors.items() if key != "fc_dual.bias"}, path)
    with pytest.raises(CheckpointError, match=r"does not fit sifa_net_r50: fc_dual.bias is missing"):
        load_model(path)
