"""Costs against sums done by hand, and against the paper's tables."""

import json

import pytest
import torch
from torch import nn

from sifa_core.cli import main
from sifa_core.errors import ConfigError
from sifa_core.models import create_model, save_checkpoint
from sifa_core.paper import ablations, results
from sifa_core.profile import compare_with_paper, measure_cost, measure_latency
from sifa_core.profile.memory import inference_bytes, training_bytes
from sifa_core.profile.paper_costs import ABLATIONS, NOTES

R50 = {"frames": 16, "size": (256, 256)}


@pytest.mark.parametrize(
    ("fields", "paper"),
    [({"temporal": "none"}, 23), ({"stages": ("res5",)}, 24), ({}, 25)],
    ids=["none", "res5", "res3-5"],
)
def test_r50_costs_what_the_paper_says(fields, paper):
    assert measure_cost("sifa_net_r50", **R50, **fields).gigas == pytest.approx(paper, rel=0.05)


def test_layers_by_hand():
    """res5 of a ResNet-50: 4 feature frames of 8 x 8 cells, 512 channels, 9 taps."""
    cells = 4 * 8 * 8
    cost = measure_cost("sifa_net_r50", **R50)
    assert cost.shape == (1, 3, 16, 256, 256)
    assert cost.multiply_adds["conv1"] == 4 * 128 * 128 * 64 * 3 * 4 * 7 * 7
    assert cost.multiply_adds["layer4.1.conv2"] == cells * 512 * 512 * 9
    assert cost.multiply_adds["layer4.1.temporal.offset.conv"] == cells * 512 * 18 * 9
    assert cost.multiply_adds["layer4.1.temporal.attention"] == cells * 512 * 9 * 6
    assert cost.multiply_adds["fc"] == 2048 * 400
    assert cost.parameters["layer4.1.temporal.offset.conv"] == 512 * 18 * 9 + 18
    assert cost.parameter_count == sum(parameter.numel() for parameter in create_model("sifa_net_r50").parameters())


def test_a_swin_block_by_hand():
    """First stage of Swin-T on 224 x 224: 4 feature frames of 56 x 56 cells, 96 channels, windows of 49."""
    cells = 4 * 56 * 56
    counts = measure_cost("sifa_transformer_t", frames=16, size=(224, 224)).multiply_adds
    assert counts["layers.0.blocks.1.attn.qkv"] == cells * 96 * 288
    assert counts["layers.0.blocks.1.attn"] == 2 * cells * 49 * 96  # scores, and their products with the values
    assert counts["layers.0.blocks.1.mlp.fc1"] == cells * 96 * 384
    assert counts["patch_embed"] == cells * 96 * 3 * 4 * 4 * 4


def test_the_smallest_clip_has_a_cost():
    cost = measure_cost("sifa_net_tiny", frames=1, size=(1, 1))
    assert cost.gigas > 0
    assert 0 < cost.inference_bytes < cost.training_bytes


def test_cost_is_proportional_to_clips_and_frames():
    one, two, long = (
        measure_cost("sifa_net_tiny", frames=frames, size=(64, 80), clips=clips)
        for frames, clips in ((16, 1), (16, 2), (32, 1))
    )
    assert two.gigas == pytest.approx(2 * one.gigas, rel=1e-9)
    assert long.gigas == pytest.approx(2 * one.gigas, rel=1e-3)  # but for the head
    assert one.parameters == two.parameters == long.parameters


def test_memory_by_hand():
    """Rows of 4 bytes: a backward needs the input, both hidden maps (ReLU keeps its result) and the output's place."""
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 30), nn.Linear(30, 5))
    rows = torch.randn(7, 10)
    assert training_bytes(model, rows) == 4 * 7 * (10 + 20 + 30 + 5)
    assert inference_bytes(model, rows) == 4 * 7 * (20 + 30)  # the map before and the map after a layer


def test_memory_on_paper_is_memory_in_deed():
    with torch.device("meta"):
        shadow, outline = create_model("sifa_net_tiny"), torch.empty(1, 3, 16, 64, 64)
    model, video = create_model("sifa_net_tiny"), torch.randn(1, 3, 16, 64, 64)
    assert training_bytes(shadow, outline) == pytest.approx(training_bytes(model, video), rel=0.01)
    assert inference_bytes(shadow, outline) == pytest.approx(inference_bytes(model, video), rel=0.01)


def test_latency_counts_forwards_after_the_warm_up():
    calls = []
    model = create_model("sifa_net_tiny", width=8)
    model.register_forward_hook(lambda *_: calls.append(1))
    latency = measure_latency(model, (1, 3, 4, 32, 32), repeats=3)
    assert 0 < latency.fastest <= latency.median
    assert (latency.repeats, latency.device, len(calls)) == (3, "cpu", 5)


@pytest.fixture(scope="module")
def comparison():
    return compare_with_paper()


def test_every_row_of_ours_is_compared(comparison):
    printed = {(table, row.variant) for table in ("1a", "1b", "1c", "1d", "1e") for row in ablations(table)}
    assert set(ABLATIONS) == printed
    assert len(comparison) == len(printed) + 3 * 2 * 7
    ours = {(row.table, row.row): row for row in comparison}
    for row in results("kinetics600"):
        if row.is_ours:
            assert ours["3", f"{row.label} {row.backbone}"].paper == row.gflops_per_view


def test_every_large_difference_has_a_note_and_no_small_one(comparison):
    for row in comparison:
        assert bool(row.note) == (row.difference is not None and abs(row.difference) > 0.05), row
    assert set(NOTES.values()) == {row.note for row in comparison if row.note}


def test_the_figures_in_the_notes(comparison):
    ours = {(row.table, row.row): row.ours for row in comparison}
    plain = ours["1a", "2D-ResNet"]
    assert ours["1b", "Conv2D(f_m) (SIFA)"] - ours["1a", "SIFA_R"] == pytest.approx(0.06, abs=0.005)
    assert ours["1e", "Temporal Conv"] - plain == pytest.approx(2.6, abs=0.05)
    assert (ours["1c", "9 x 9"] - ours["1c", "1 x 1"]) / 80 == pytest.approx(0.0094, rel=0.01)
    for frames, theirs in ((16, 39.0), (32, 78.2), (64, 156.6)):
        row = next(row for row in comparison if row.row == f"SIFA-Net ({frames}) R101, authors' code at 224")
        assert (row.side, row.preset, round(row.ours, 1), round(row.ours)) == (224, "official", theirs, row.paper)
    assert ours["2", "SIFA-Net (16) R50, authors' code at 224"] == pytest.approx(23.9, abs=0.05)
    for backbone in ("R50", "R101"):
        assert ours["2", f"SIFA-Net (64) {backbone}"] == pytest.approx(
            4 * ours["2", f"SIFA-Net (16) {backbone}"], rel=1e-3
        )


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(["profile", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_a_table(capsys):
    code, out, _ = run(capsys, "sifa_net_r50", 'stages=["res5"]', "--frames", "16", "--size", "256", "--no-latency")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert "24.9" not in lines["all"]
    assert "23.289 G" in lines["all"]
    assert "0.028 G" in lines["layer4.2"]
    assert "stored for the backward" in lines["feature"]
    assert "time" not in out


def test_the_command_prints_json(capsys):
    code, out, _ = run(capsys, "--frames", "4", "--size", "32", "48", "--repeats", "1", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["shape"] == [1, 3, 4, 32, 48]
    assert answer["total"]["multiply_adds"] == sum(answer["multiply_adds"].values())
    assert answer["latency_ms"]["median"] > 0


def test_a_file_of_weights_is_profiled_with_its_fields(capsys, tmp_path):
    path = save_checkpoint(tmp_path / "own.safetensors", create_model("sifa_net_tiny", width=8, kernel_size=5))
    small = ("--frames", "4", "--size", "32", "--no-latency", "--json")
    answers = [
        json.loads(run(capsys, *words, *small)[1])
        for words in ([str(path)], ["sifa_net_tiny", "width=8", "kernel_size=5"])
    ]
    assert answers[0]["multiply_adds"] == answers[1]["multiply_adds"]
    assert answers[0]["parameters"] == answers[1]["parameters"]


def test_the_paper_beside_ours(capsys, comparison):
    code, out, _ = run(capsys, "--paper")
    assert code == 0
    assert "SIFA-Net (16) R101                                  39     44.4      +13.9 %" in out
    assert out.count("Table") - out.count("in Table") == 8
    code, out, _ = run(capsys, "--paper", "--json")
    assert [row["ours"] for row in json.loads(out)] == [row.ours for row in comparison]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "no model named 'gone'"),
        (["sifa_net_tiny", "wings=2"], "no field wings"),
        (["sifa_net_tiny", "wings"], "'wings' is not of the form key=value"),
        (["sifa_net_tiny", "stages=res5"], "stages='res5' is not possible"),
        (["sifa_net_tiny", "--preset", "fast"], "preset='fast'"),
        (["sifa_net_tiny", "--size", "1", "2", "3"], "one or two numbers"),
        (["sifa_net_tiny", "--device", "abacus"], "no device 'abacus'"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert message in error


def test_too_little_memory_is_one_line(capsys, monkeypatch):
    def forward(*_: object, **__: object) -> None:
        raise RuntimeError("not enough memory: you tried to allocate 8 bytes.\nMore follows.")

    monkeypatch.setattr("sifa_core.profile.measure_latency", forward)
    code, out, err = run(capsys, "--frames", "4", "--size", "32")
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("error: sifa_net_tiny cannot be timed on (1, 3, 4, 32, 32): not enough memory")


def test_unknown_fields_are_named():
    with pytest.raises(ConfigError, match="has no field wings"):
        measure_cost("sifa_net_tiny", wings=2)
