"""Every registered model and every value of every field: builds, learns, traces, saves, loads, exports.

All are enumerated: models from the registry, fields from the configurations, and their values from what a
configuration answers to an impossible one. A new model, field or value is covered without a word here; a new field
without a list of values asks for examples in EXAMPLES. Legend: B clips, T frames.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from sifa_core.errors import ConfigError
from sifa_core.explain.trace import Trace
from sifa_core.models import VideoModel, create_model, load_model, model_names, save_checkpoint
from sifa_core.models.configuration import ArchitectureConfig
from sifa_core.models.heads import summed_loss
from sifa_core.models.registry import preset_names
from sifa_core.models.standalone import check_export, export_model

SMALL: dict[str, Any] = {"num_classes": 5, "layers": (1, 1, 2, 1), "width": 8, "head_width": 8, "window": 4}
"""What makes a network small, as far as it has these fields."""

STEADY: dict[str, Any] = {"dropout": 0.0, "drop_path": 0.0}
"""What makes a network compute the same twice while training."""

EXAMPLES: dict[str, tuple[Any, ...]] = {
    "num_classes": (1, 7),
    "layers": ((1, 2, 1, 2),),
    "width": (4, 16),
    "head_width": (4,),
    "window": (2, 7),
    "mlp_ratio": (2.0, 3.5),
    "dropout": (0.0, 0.5),
    "drop_path": (0.0, 0.5),
    "temporal_stride": (1, 2, 4),
    "num_frames": (32,),
    "input_size": (112,),
}
"""Values to try for fields that take any number."""

NEEDS: dict[tuple[str, Any], dict[str, Any]] = {
    ("global_context", True): {"blocks": "alternate"},
    ("blocks", "official"): {"temporal": "sifa_r"},
}
"""What else must be chosen for a value to be possible."""


@functools.cache
def config_of(name: str) -> ArchitectureConfig:
    with torch.device("meta"):
        return create_model(name).config


def fields_of(name: str) -> list[str]:
    return [field.name for field in dataclasses.fields(config_of(name))]


def small(name: str, **fields: Any) -> VideoModel:
    """The model `name` in small and in training mode, the same at every call."""
    torch.manual_seed(0)
    chosen = {key: value for key, value in (SMALL | STEADY).items() if key in fields_of(name)}
    return create_model(name, **{**chosen, **fields})


def awake(name: str, **fields: Any) -> VideoModel:
    """As `small`, for inference, and what starts at zero takes part."""
    model = small(name, **fields).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def families() -> list[str]:
    """One model for each kind of configuration, its tiny one."""
    kinds = {type(config_of(name)): name for name in sorted(model_names(), key=lambda name: "tiny" in name)}
    return sorted(kinds.values())


def values_of(name: str, field: str) -> tuple[Any, ...]:
    """All values of a field, or some if it takes any number."""
    if isinstance(getattr(config_of(name), field), bool):
        return (False, True)
    if field in EXAMPLES:
        return EXAMPLES[field]
    impossible = ("?",) if isinstance(getattr(config_of(name), field), tuple) else "?"
    with pytest.raises(ConfigError) as error:
        create_model(name, **{field: impossible})
    listed = re.fullmatch(rf"{field}='\?' is not possible; choose one of (.+)\.", str(error.value))
    assert listed is not None, f"{field} takes any value: give some in EXAMPLES"
    values = [int(value) if value.isdigit() else value for value in listed[1].split(", ")]
    return tuple((value,) for value in values) if isinstance(impossible, tuple) else tuple(values)


def cases() -> Iterator[Any]:
    """(model, fields) for every preset of every model, and every value of every field of every family."""
    for name in model_names():
        for preset in preset_names(name):
            yield pytest.param(name, {"preset": preset}, id=f"{name}-{preset}")
    for name in families():
        for field in fields_of(name):
            for value in values_of(name, field):
                yield pytest.param(name, {field: value} | NEEDS.get((field, value), {}), id=f"{name}-{field}={value}")


def video_for(model: VideoModel, clips: int = 1) -> torch.Tensor:
    """Four feature frames, two of a dual head, at a size that no stride divides."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(clips, 3, 4 * model.temporal_stride, 50, 39, generator=generator)


@pytest.mark.parametrize(("name", "fields"), list(cases()))
def test_it_learns_traces_saves_and_loads(name, fields, tmp_path):
    model = small(name, **fields)
    classes = len(model.info.labels)
    video = video_for(model, clips=2)
    loss = summed_loss(model(video), torch.tensor([0, classes - 1]), F.cross_entropy)
    loss.backward()
    untouched = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert untouched == []
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())

    torch.optim.SGD(model.parameters(), lr=0.01).step()  # so that what starts at zero takes part below
    model.eval()
    with torch.no_grad(), Trace(model) as trace:
        logits = model(video[:1])
    assert logits.shape == (1, classes)
    assert torch.isfinite(logits).all()
    assert list(trace.layers) == list(model.sifa_layers())
    attended = 4 - (model.config.last_frame == "skip")
    for layer in trace.layers.values():
        assert layer.weights.shape[:2] == (attended, model.config.kernel_size**2)
        assert layer.offset.shape == (*layer.weights.shape[:2], 2, *layer.weights.shape[2:])

    path = save_checkpoint(tmp_path / "model.safetensors", model)
    loaded = load_model(path)
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(video[:1]), logits)


@functools.cache
def configs_of_presets(name: str) -> list[ArchitectureConfig]:
    with torch.device("meta"):
        return [create_model(name, preset=preset).config for preset in preset_names(name)]


def export_cases() -> Iterator[Any]:
    """As `cases` of the families' small models, without what exports alike: numbers and stages, which change only sizes
    and places; values that a preset has, which is exported; and in the second family fields that all share."""
    shared = {field.name for field in dataclasses.fields(ArchitectureConfig)}
    alike = {*EXAMPLES, "kernel_size", "stages"}
    for case in cases():
        name, fields = case.values
        if name not in families() or set(fields) <= alike or (name != families()[0] and set(fields) <= shared):
            continue
        presets = configs_of_presets(name)
        if not any(all(getattr(config, field, None) == value for field, value in fields.items()) for config in presets):
            yield case


@pytest.mark.parametrize(("name", "fields"), list(export_cases()))
def test_torch_export_computes_the_same_for_any_number_of_clips(name, fields):
    model = awake(name, **{"stages": ("res4",)} | fields)
    video = video_for(model, clips=3)
    clips = ({0: torch.export.Dim("clips")},)
    with torch.no_grad():
        program = torch.export.export(model, (video[:2],), dynamic_shapes=clips)
        torch.testing.assert_close(program.module()(video), model(video))


@pytest.mark.slow
def test_the_preset_with_most_parts_is_the_same_in_onnx(tmp_path):
    model = awake(families()[0], preset=preset_names(families()[0])[-1])
    path = export_model(model, tmp_path / "model.onnx", frames=4 * model.temporal_stride, size=(50, 39))
    assert check_export(path, model, clips=3) < 1e-5


@pytest.mark.parametrize("name", families())
@pytest.mark.parametrize("frames", [1, 4, 16])
@pytest.mark.parametrize(("height", "width"), [(33, 47), (32, 32), (71, 50)])
def test_any_length_and_odd_sizes(name, frames, height, width):
    for temporal in values_of(name, "temporal"):
        for last_frame in values_of(name, "last_frame"):
            model = small(name, temporal=temporal, last_frame=last_frame).eval()
            with torch.no_grad():
                assert model(torch.randn(1, 3, frames, height, width)).shape == (1, 5)


@pytest.mark.parametrize("name", model_names())
def test_a_full_size_model_builds_and_runs_without_memory(name):
    with torch.device("meta"):
        model = create_model(name).eval()
        video = torch.empty(1, 3, model.info.num_frames, model.info.input_size, model.info.input_size)
        assert model(video).shape == (1, len(model.info.labels))


def test_every_field_of_the_family_was_tried():
    tried = {field for case in cases() for field in case.values[1]}
    assert tried >= {field for name in model_names() for field in fields_of(name)}
    assert len(families()) >= 2
