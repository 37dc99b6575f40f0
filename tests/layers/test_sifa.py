"""The SIFA block against slow, obvious sums, and its invariants."""

import pytest
import torch
from torch import nn

from sifa_core.errors import ConfigError
from sifa_core.layers import SIFA, TemporalConfig, build_temporal, temporal_names
from sifa_core.layers.offset_estimators import build_offset_estimator, motion_saliency_map


def maps(frames: int = 3, clips: int = 1, channels: int = 6, height: int = 7, width: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(clips * frames, channels, height, width, generator=generator, dtype=torch.float64)
    return x.to(memory_format=torch.channels_last)


def block(channels: int = 6, **fields: object) -> SIFA:
    return SIFA(channels, TemporalConfig(**fields)).double()


def neighbourhood_attention(query: torch.Tensor, memory: torch.Tensor, kernel_size: int) -> torch.Tensor:
    """Eq. 1 and 2 place by place over the regular grid, scaled by 1/C; query and memory (C, H, W)."""
    channels, height, width = query.shape
    reach = kernel_size // 2
    aggregate = torch.zeros_like(query)
    for y in range(height):
        for x in range(width):
            for row in range(y - reach, y + reach + 1):
                for column in range(x - reach, x + reach + 1):
                    if 0 <= row < height and 0 <= column < width:
                        key = memory[:, row, column]
                        aggregate[:, y, x] += (query[:, y, x] @ key) / channels * key
    return aggregate


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_zero_offsets_attend_over_the_regular_neighbourhood(kernel_size):
    x = maps()
    output = block(kernel_size=kernel_size)(x, 3)
    expected = torch.stack([x[t] + neighbourhood_attention(x[t], x[min(t + 1, 2)], kernel_size) for t in range(3)])
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-10)


def test_matching_offsets_undo_a_shift_by_whole_cells():
    still = maps(frames=1)[0]
    shifted = torch.roll(still, shifts=(2, 1), dims=(1, 2))  # two cells down, one to the right
    layer = block()
    layer.offset.conv.bias.data[0::2] = 2.0
    layer.offset.conv.bias.data[1::2] = 1.0
    followed = layer(torch.stack([still, shifted]), 2)[0]
    unmoved = block()(torch.stack([still, still]), 2)[0]
    interior = (slice(None), slice(1, 4), slice(1, 7))  # beyond it, roll brings in the other side
    torch.testing.assert_close(followed[interior], unmoved[interior], rtol=1e-10, atol=1e-10)


def test_last_frame_attends_to_itself():
    x = maps()
    torch.testing.assert_close(block()(x, 3)[2], x[2] + neighbourhood_attention(x[2], x[2], 3))


def test_skip_leaves_the_last_frame_and_changes_the_others_alike():
    x = maps(frames=3, clips=2)
    skipped, attended = block(last_frame="skip")(x, 3), block()(x, 3)
    last = torch.tensor([2, 5])
    others = torch.tensor([0, 1, 3, 4])
    assert torch.equal(skipped[last], x[last])
    torch.testing.assert_close(skipped[others], attended[others])
    assert not torch.allclose(skipped[others], x[others])


@pytest.mark.parametrize("last_frame", ["self", "skip"])
def test_one_frame_works(last_frame):
    x = maps(frames=1, clips=2)
    output = block(last_frame=last_frame)(x, 1)
    assert output.shape == x.shape
    assert torch.equal(output, x) == (last_frame == "skip")


def test_clips_of_a_batch_do_not_see_each_other():
    x = maps(frames=3, clips=2)
    layer = block()
    nn.init.normal_(layer.offset.conv.weight, std=0.3)
    torch.testing.assert_close(layer(x, 3), torch.cat([layer(x[:3], 3), layer(x[3:], 3)]))


def test_input_is_not_changed_and_memory_format_is_kept():
    for last_frame in ("self", "skip"):
        x = maps(frames=3, clips=2)
        before = x.clone()
        output = block(last_frame=last_frame)(x, 3)
        assert torch.equal(x, before)
        assert output.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("gate", ["channel", "layernorm"])
def test_learned_gates_start_closed_and_can_open(gate):
    x = maps()
    layer = block(gate=gate)
    assert torch.equal(layer(x, 3), x)
    layer(x, 3).square().sum().backward()
    gains = [parameter.grad for name, parameter in layer.gate.named_parameters() if "bias" not in name]
    assert all(gain.abs().sum() > 0 for gain in gains)


@pytest.mark.parametrize(
    ("source", "cue"),
    [
        ("msm", lambda now, after: after / (1 + torch.exp(now - after))),
        ("difference", lambda now, after: after - now),
        ("next", lambda now, after: after),
    ],
)
def test_offset_sources_are_those_of_table_1b(source, cue):
    now, after = maps(frames=2).split(1)
    estimator = build_offset_estimator(source, 6, 3).double()
    nn.init.normal_(estimator.conv.weight)
    nn.init.normal_(estimator.conv.bias)
    expected = nn.functional.conv2d(cue(now, after), estimator.conv.weight, estimator.conv.bias, padding=1)
    torch.testing.assert_close(estimator(now, after), expected)


def test_motion_saliency_map_is_equation_5():
    now, after = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 1.0]])
    expected = torch.tensor([[2 / (1 + torch.e**-2), 0.5]])
    torch.testing.assert_close(motion_saliency_map(now, after), expected)


def test_sifa_r_has_no_parameters_and_equals_zero_offsets():
    x = maps()
    regular = build_temporal("sifa_r", 6, TemporalConfig())
    assert list(regular.parameters()) == []
    torch.testing.assert_close(regular(x, 3), block()(x, 3))


def test_gradients_reach_the_offsets():
    x = maps().requires_grad_()
    layer = block()
    layer(x, 3).square().sum().backward()
    assert layer.offset.conv.weight.grad.abs().sum() > 0
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "fields",
    [{"kernel_size": 2}, {"offset_from": "flow"}, {"scale": "sqrt"}, {"last_frame": "first"}, {"gate": "sigmoid"}],
)
def test_impossible_fields_are_named(fields):
    name = next(iter(fields))
    with pytest.raises(ConfigError, match=f"{name}=.*choose one of"):
        TemporalConfig(**fields)


def test_unknown_temporal_module_lists_the_known():
    assert set(temporal_names()) >= {"none", "sifa", "sifa_r"}
    with pytest.raises(ConfigError, match=r"temporal='lstm'.*sifa"):
        build_temporal("lstm", 8, TemporalConfig())
