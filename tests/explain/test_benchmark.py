"""The benchmark of explanations on three small clips: which clips, what is measured, and how it is told."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sifa_core.data.motion15 import LABELS, MotionConfig, camera_drifts, label_of, render
from sifa_core.errors import ConfigError, ExportError
from sifa_core.explain import benchmark
from sifa_core.explain.benchmark import BenchmarkConfig, run, run_benchmark
from sifa_core.explain.benchmark.estimate import estimate
from sifa_core.paths import CHECKPOINTS

SIZE = 32


@pytest.fixture(scope="module")
def found(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "FAITHFULNESS_CLIPS", 1)
        patch.setattr(run, "OCCLUSION_CLIPS", 1)
        steps = []
        result = run_benchmark(model, BenchmarkConfig(3, SIZE), progress=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return result


def test_the_mean_lies_in_its_interval_which_narrows_with_more_clips():
    rng = np.random.default_rng(0)
    few, many = (estimate(rng.normal(3, 1, count)) for count in (20, 2000))
    assert few.low < few.mean < few.high
    assert many.high - many.low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)
    assert many.high - many.low < (few.high - few.low) / 5


def test_clips_without_a_figure_do_not_count_and_weights_do():
    assert estimate([1.0, float("nan"), 3.0]).mean == 2
    assert estimate([1.0, float("nan"), 3.0]).clips == 2
    assert estimate([1.0, 3.0, 7.0], [3, 1, 0]).mean == 1.5
    assert estimate([]).to_dict() == {"mean": None, "low": None, "high": None, "clips": 0}


def test_clips_are_of_moving_objects_that_no_accuracy_was_measured_on():
    drawn = MotionConfig(16, SIZE, SIZE)
    chosen = run.jobs(BenchmarkConfig(20), drawn)
    assert [job.is_drifting for job in chosen] == 20 * [False] + 4 * [True]
    assert min(job.index for job in chosen) >= 3000
    assert all(LABELS[label_of(0, "test", job.index)].startswith("object") for job in chosen)
    assert len({job.index for job in chosen}) == 24
    resting, drifting = chosen[0].index, chosen[-1].index
    assert not camera_drifts(0, "test", resting, drawn)
    flow = render(0, "test", drifting, drawn, truth=True)
    background = ~flow.moving[:-1]
    assert np.median(np.linalg.norm(flow.flow, axis=-1)[background]) > 0.02


def test_everything_is_measured(found, model):
    assert (len(found.resting), len(found.drifting), len(found.verdicts)) == (3, 1, 1)
    assert found.shown_layer == "res3.0"
    assert found.motion["motion"]["auc"].clips == 3
    assert found.evidence["occlusion res4"]["auc"].clips == 1
    assert found.evidence[found.shown_evidence]["auc"].mean == pytest.approx(
        np.mean([record.evidence[found.shown_evidence].auc for record in found.resting])
    )
    assert model.info.input_size != SIZE, "the model's own size is as before"


def test_as_plain_values(found):
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["protocol"].startswith("motion15 test, seed 0, from clip 3000 on: 3 clips")
    assert plain["motion"]["frame_difference"]["auc"].keys() == {"mean", "low", "high", "clips"}
    assert sum(group["clips"] for group in plain["by_class"].values()) == 3
    assert sum(group["clips"] for group in plain["by_speed"].values()) == 3
    assert plain["by_camera"]["camera drifts"]["clips"] == 1
    assert plain["faithfulness"]["clips"] == 1
    assert len(plain["faithfulness"]["deletion"]["evidence"]) == len(plain["faithfulness"]["fractions"])


@pytest.mark.slow
def test_processes_share_the_clips_and_find_the_same(found, model, monkeypatch):
    monkeypatch.setattr(run, "FAITHFULNESS_CLIPS", 1)
    monkeypatch.setattr(run, "OCCLUSION_CLIPS", 1)
    shared = run_benchmark(model, BenchmarkConfig(3, SIZE), workers=2)
    assert [record.label for record in shared.resting] == [record.label for record in found.resting]
    for name, row in found.motion.items():
        assert shared.motion[name]["auc"].mean == pytest.approx(row["auc"].mean, abs=1e-3), name
    assert shared.drop("evidence").mean == pytest.approx(found.drop("evidence").mean, abs=1e-4)


def test_tables_hold_every_row_and_mark_what_is_shown(found):
    text = benchmark.markdown(found)
    assert text.startswith("## Explanations\n")
    for row in ("| **motion** |", "| Eq. 5 res4.1 |", "| *frame difference* |", "| **integrated gradients res2** |"):
        assert row in text
    assert "occlusion res4 (1 clips)" in text
    assert f"| **{found.shown_layer}, 1 level** |" in text
    assert "`analysis.faithfulness()` believes 0 of the 1 pictures." in " ".join(text.split()), "it is untrained"
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120


def test_a_card_gets_its_section_once_and_keeps_the_rest(found, tmp_path):
    card = tmp_path / "CARD.md"
    card.write_text("# A model\n\n## Accuracy\n\nGood.\n\n## Limits\n\nMany.\n", encoding="utf-8")
    benchmark.update_card(card, found)
    once = card.read_text(encoding="utf-8")
    assert once.index("## Accuracy") < once.index("## Explanations") < once.index("## Limits")
    benchmark.update_card(card, found)
    assert card.read_text(encoding="utf-8") == once
    assert (
        once.replace(benchmark.markdown(found) + "\n", "")
        == "# A model\n\n## Accuracy\n\nGood.\n\n## Limits\n\nMany.\n"
    )
    card.write_text("# Another\n", encoding="utf-8")
    benchmark.update_card(card, found)
    assert card.read_text(encoding="utf-8") == "# Another\n\n" + benchmark.markdown(found)


def test_files_are_written_whole(found, tmp_path):
    data, text = benchmark.write_files(found, tmp_path)
    assert json.loads(data.read_text(encoding="utf-8")) == json.loads(json.dumps(found.to_dict()))
    assert text.read_text(encoding="utf-8") == benchmark.markdown(found)


def test_the_figures_that_are_shipped_are_of_the_weights_that_are_shipped():
    folder = Path(__file__).parents[2] / "benchmarks"
    text = (folder / "explanations.md").read_text(encoding="utf-8")
    assert text in (CHECKPOINTS / "MODEL_CARD.md").read_text(encoding="utf-8")
    model = json.loads((folder / "explanations.json").read_text(encoding="utf-8"))["model"]
    assert model["sha256"] == hashlib.sha256((CHECKPOINTS / model["source"]).read_bytes()).hexdigest()


def test_wrong_choices_are_said(model, tmp_path):
    with pytest.raises(ConfigError, match="clips=0"):
        BenchmarkConfig(0)
    with pytest.raises(ConfigError, match="height=20"):
        run_benchmark(model, BenchmarkConfig(1, 20))
    with pytest.raises(ExportError, match="none.md cannot be read"):
        benchmark.read_card(tmp_path / "none.md")
