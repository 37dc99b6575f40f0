"""The registry of temporal modules, as a whole."""

import pytest
import torch

from sifa_core.layers import SIFA, TemporalConfig, build_temporal, register_temporal, temporal_names


def test_the_switch_takes_the_names_of_tables_1a_and_1e():
    assert set(temporal_names()) >= {
        *("none", "sifa", "sifa_r", "sifa_c", "sifa_star"),
        *("temporal_conv", "temporal_shift", "correlation", "temporal_difference"),
    }


@pytest.mark.parametrize("name", temporal_names()[1:])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_clips_of_a_batch_do_not_see_each_other(clips, randomise, name, frames):
    x = clips(frames=frames)
    layer = randomise(build_temporal(name, 8, TemporalConfig()))
    before = x.clone()
    output = layer(x, frames)
    torch.testing.assert_close(output, torch.cat([layer(x[:frames], frames), layer(x[frames:], frames)]))
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", temporal_names()[1:])
def test_frames_are_ordered(clips, randomise, name):
    x = clips(frames=3, count=1)
    layer = randomise(build_temporal(name, 8, TemporalConfig()))
    reverse = [2, 1, 0]
    assert not torch.allclose(layer(x[reverse], 3)[reverse], layer(x, 3))


@pytest.mark.parametrize("name", temporal_names()[1:])
@pytest.mark.parametrize("last_frame", ["self", "skip"])
@pytest.mark.parametrize("gate", ["none", "channel", "layernorm"])
def test_mixed_precision_works(clips, randomise, name, last_frame, gate):
    x = clips().bfloat16()
    layer = randomise(build_temporal(name, 8, TemporalConfig(last_frame=last_frame, gate=gate))).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = layer(x, 3)
    torch.testing.assert_close(mixed.float(), layer(x.float(), 3), rtol=0.05, atol=0.1)


@pytest.mark.parametrize("name", ["sifa_c", "sifa_star"])
def test_variants_of_sifa_have_attention_to_look_at(name):
    assert isinstance(build_temporal(name, 8, TemporalConfig()), SIFA)


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="'sifa' is registered twice"):
        register_temporal("sifa")(lambda channels, config: torch.nn.Identity())
