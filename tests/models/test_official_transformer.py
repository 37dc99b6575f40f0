"""Checkpoints of the authors' SIFA-Transformer: every name and shape, and the forward that their code computes."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sifa_core.errors import CheckpointError
from sifa_core.models import create_model
from sifa_core.models.official import official_architecture
from sifa_core.models.official_transformer import OfficialSIFA, convert_official_transformer
from tests.models.plain_swin import plain_swin

DEPTHS, HEADS, WINDOW, SIDE, FRAMES = (2, 2, 2, 2), (1, 2, 4, 8), 2, 64, 3
SMALL = {"width": 4, "head_width": 4, "layers": DEPTHS, "window": WINDOW, "input_size": SIDE, "num_classes": 5}


def authors_shapes(width, depths, heads, *, window=7, side=224, frames=4, classes=400) -> dict[str, tuple[int, ...]]:
    """Names and shapes of their state dict, frozen scales and buffers included; `frames` is after the stride of 4."""
    shapes = {"patch_embed.proj.weight": (width, 3, 4, 4, 4), "patch_embed.proj.bias": (width,)}
    for stage, depth in enumerate(depths):
        channels, cells, length = width * 2**stage, side // 4 // 2**stage, window**2
        for position in range(depth):
            block = {
                "norm1.weight": (channels,),
                "norm1.bias": (channels,),
                "attn.relative_position_bias_table": ((2 * window - 1) ** 2, heads[stage]),
                "attn.relative_position_index": (length, length),
                "attn.qkv.weight": (3 * channels, channels),
                "attn.qkv.bias": (3 * channels,),
                "attn.proj.weight": (channels, channels),
                "attn.proj.bias": (channels,),
                "norm2.weight": (channels,),
                "norm2.bias": (channels,),
                "mlp.fc1.weight": (4 * channels, channels),
                "mlp.fc1.bias": (4 * channels,),
                "mlp.fc2.weight": (channels, 4 * channels),
                "mlp.fc2.bias": (channels,),
                "def_cor.weight": (channels, frames, 3, 3),
                "conv.weight": (channels, channels, 1, 3),
                "tda_norm.weight": (channels,),
                "tda_norm.bias": (channels,),
            }
            if position % 2 and cells > window:
                block["attn_mask"] = ((cells // window) ** 2, length, length)
            shapes |= {f"layers.{stage}.blocks.{position}.{name}": shape for name, shape in block.items()}
        if stage < 3:
            shapes[f"layers.{stage}.downsample.norm.weight"] = (4 * channels,)
            shapes[f"layers.{stage}.downsample.norm.bias"] = (4 * channels,)
            shapes[f"layers.{stage}.downsample.reduction.weight"] = (2 * channels, 4 * channels)
    channels = width * 8
    return shapes | {
        "norm.weight": (channels,),
        "norm.bias": (channels,),
        "fc.weight": (classes, channels),
        "fc.bias": (classes,),
    }


@pytest.fixture(scope="module")
def authors() -> dict[str, Tensor]:
    """A small checkpoint in their names with everything at random but the frozen scale."""
    torch.manual_seed(0)
    shapes = authors_shapes(4, DEPTHS, HEADS, window=WINDOW, side=SIDE, frames=FRAMES, classes=5)
    state = {name: 0.3 * torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    for name, value in state.items():
        if name.endswith("def_cor.weight"):
            value.fill_(1 / value.shape[0])
        if "norm" in name and name.endswith("weight"):
            value += 1
    return state


def authors_between(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Their forward_rtc and forward_vtc, cell by cell: x [T, H, W, C]."""
    frames, height, width, channels = x.shape
    if f"{name}.attn_mask" in state:  # shifted windows: a convolution along time
        kernel = state[f"{name}.conv.weight"][:, :, 0]
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        after = torch.cat([x[1:], torch.zeros_like(x[:1])])
        return x + before @ kernel[:, :, 0].T + x @ kernel[:, :, 1].T + after @ kernel[:, :, 2].T
    aggregate = torch.zeros_like(x)
    for t, row, column in itertools.product(range(frames - 1), range(height), range(width)):
        for y, u in itertools.product((row - 1, row, row + 1), (column - 1, column, column + 1)):
            if 0 <= y < height and 0 <= u < width:
                key = x[t + 1, y, u]
                aggregate[t, row, column] += (x[t, row, column] @ key) / channels * key
    return x + F.layer_norm(aggregate, (channels,), state[f"{name}.tda_norm.weight"], state[f"{name}.tda_norm.bias"])


def in_timms_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the slow Swin takes: their merging of stage i is timm's of stage i+1, their fc is timm's head."""
    names = {"fc.weight": "head.fc.weight", "fc.bias": "head.fc.bias"}
    for stage, entry in itertools.product(range(3), ("norm.weight", "norm.bias", "reduction.weight")):
        names[f"layers.{stage}.downsample.{entry}"] = f"layers.{stage + 1}.downsample.{entry}"
    return {names.get(name, name): value for name, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_converted_checkpoint_computes_what_their_code_does(authors, prefix):
    model = create_model("sifa_transformer_t", preset="official", **SMALL).double().eval()
    model.load_state_dict(convert_official_transformer({prefix + name: value for name, value in authors.items()}))
    video = torch.randn(1, 3, 4 * FRAMES, SIDE, SIDE, dtype=torch.float64)
    expected = plain_swin(
        in_timms_names(authors),
        video[0],
        depths=DEPTHS,
        heads=HEADS,
        window=WINDOW,
        between=lambda name, x: authors_between(authors, name, x),
    )
    with torch.no_grad():
        assert (model(video)[0] - expected).abs().max() < 1e-6 * expected.abs().max()


@pytest.mark.parametrize(
    ("name", "width", "depths", "heads"),
    [
        ("sifa_transformer_t", 96, (2, 2, 6, 2), (3, 6, 12, 24)),
        ("sifa_transformer_s", 96, (2, 2, 18, 2), (3, 6, 12, 24)),
        ("sifa_transformer_b", 128, (2, 2, 18, 2), (4, 8, 16, 32)),
        ("sifa_transformer_l", 192, (2, 2, 18, 2), (6, 12, 24, 48)),
    ],
)
def test_every_name_and_shape_of_a_full_checkpoint_fits(name, width, depths, heads):
    shapes = authors_shapes(width, depths, heads, frames=16)
    state = {
        key: torch.full((), 1 / shape[0]).expand(shape)
        for key, shape in shapes.items()  # no memory behind it
    }
    converted = {key: tuple(value.shape) for key, value in convert_official_transformer(state).items()}
    with torch.device("meta"):
        model = create_model(name, preset="official")
    assert converted == {key: tuple(value.shape) for key, value in model.state_dict().items()}


def test_the_official_preset():
    with torch.device("meta"):
        layers = list(create_model("sifa_transformer_s", preset="official").sifa_layers())
    assert layers == ["res2.0", "res3.0", *(f"res4.{i}" for i in range(0, 18, 2)), "res5.0", "res5.1"]
    model = create_model("sifa_transformer_t", preset="official", **SMALL)
    assert not model.layers[0].blocks[1].temporal.conv.weight.any()  # the identity at first, after construction
    with torch.no_grad():
        assert model(torch.randn(1, 3, 1, 33, 50)).shape == (1, 5)
    model(torch.randn(2, 3, 8, 64, 64)).logsumexp(1).sum().backward()
    assert model.layers[0].blocks[1].temporal.conv.weight.grad.abs().sum() > 0


def test_other_checkpoints_are_refused(authors):
    with pytest.raises(CheckpointError, match="not a checkpoint of the authors' SIFA-Transformer"):
        convert_official_transformer({"fc.weight": torch.zeros(2, 2)})
    other = {**authors, "layers.1.blocks.0.def_cor.weight": torch.ones(8, 3, 3, 3)}
    with pytest.raises(CheckpointError, match=r"layers.1.blocks.0.def_cor.weight is not 1/8"):
        convert_official_transformer(other)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_the_kernel_size_is_read_from_the_frozen_scale(authors, size):
    """Their settings name a size for each stage; the tensor alone tells which one the network was built with."""
    state = {
        name: value[:, :, :1, :1].expand(-1, -1, size, size) if name.endswith("def_cor.weight") else value
        for name, value in authors.items()
    }
    _, fields = official_architecture(state)
    assert fields["kernel_size"] == size
    model = create_model("sifa_transformer_t", preset="official", **SMALL, kernel_size=fields["kernel_size"])
    layer = next(module for module in model.modules() if isinstance(module, OfficialSIFA))
    assert layer.kernel_size == size
    mixed = state | {
        name: value[:, :, :1, :1] for name, value in authors.items() if name.startswith("layers.0.blocks.0.def")
    }
    if size != 1:
        with pytest.raises(CheckpointError, match=rf"kernels of sizes \[1, {size}\]; here they share one size"):
            official_architecture(mixed)
