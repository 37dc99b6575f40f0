"""Whole runs: they learn, resume exactly after a kill, agree between one process and two, and stop when they must."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from app.service import Service
from sifa_core.cli import main
from sifa_core.data.motion15 import LABELS, MotionConfig, make_dataset
from sifa_core.errors import ConfigError, ExportError
from sifa_core.inference import predict
from sifa_core.models import load_model
from sifa_core.training import TrainingError, evaluate, load_config, run, train
from sifa_core.training.build import build_model
from sifa_core.training.loading import validation_data
from tests import processes
from tests.training import runs


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small motion15 written out as mp4 files, with a broken one among them."""
    out = tmp_path_factory.mktemp("files")
    small = MotionConfig(num_frames=8, height=48, width=48)
    for split, count in (("train", 20), ("val", 15)):
        make_dataset(out, split=split, count=count, config=small, flow=False)
    (out / "clips" / "train_000003.mp4").write_bytes(b"broken")
    return out


@pytest.fixture
def config(files, tmp_path):
    """Path of a configuration that trains in seconds, and overrides that leave its results in a fresh folder."""
    content = {
        "model": {"name": "sifa_net_tiny", "fields": {"width": 8, "dropout": 0.5, "layers": [1, 1, 1, 1]}},
        "data": {
            "kind": "list",
            "root": str(files),
            "train": str(files / "train.txt"),
            "val": str(files / "val.txt"),
            "labels": str(files / "labels.txt"),
            "num_frames": 8,
            "crop": 32,
            "short_sides": [32, 40],
            "flip": False,
            "workers": 0,
        },
        "optimizer": {
            "name": "adamw",
            "lr": 0.01,
            "warmup_steps": 2,
            "clip_norm": 1.0,
            "ema_decay": 0.5,
            "offset_penalty": 0.01,
        },
        "run": {"out": str(tmp_path / "run"), "steps": 6, "batch": 4, "save_every": 2, "log_every": 2},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "model.safetensors")


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_render_train_kill_resume_evaluate_and_show(config, files, tmp_path):
    """The whole way from files to a model in use; the killed run ends with the weights of the uninterrupted one."""
    whole = train(load_config(config, [f"run.out={tmp_path / 'whole'}"]), quiet=True)
    out = tmp_path / "killed"
    with pytest.raises(TrainingError, match="stopped after step 3"):
        train(load_config(config, [f"run.out={out}"]), quiet=True, stop_after=3)
    assert [path.name for path in out.glob("state-*")] == ["state-2"]
    resumed = train(load_config(config, [f"run.out={out}"]), quiet=True)
    assert same(weights(tmp_path / "whole"), weights(out))
    assert resumed.validation.confusion.tolist() == whole.validation.confusion.tolist()
    assert any("train_000003.mp4" in name for name in whole.failures.counts)

    other = train(load_config(config, [f"run.out={tmp_path / 'other'}", "run.seed=1"]), quiet=True)
    assert not same(weights(tmp_path / "whole"), weights(tmp_path / "other"))

    model = load_model(other.checkpoint)
    assert model.info.labels == LABELS
    assert model.info.facts["step"] == 6
    assert model.info.facts["training"]["optimizer"]["lr"] == 0.01
    again = evaluate(model, validation_data(load_config(config).data, LABELS))
    assert again.confusion.tolist() == other.validation.confusion.tolist()
    assert model.info.facts["metrics"]["top1"] == pytest.approx(again.accuracy)
    page = Service(model)
    path = files / "clips" / "val_000000.mp4"
    reading = page.read(path)
    shown = page.payload(page.analyze_video(path, reading))
    assert [row["label"] for row in shown["predictions"]] == [label for label, _ in predict(model, reading.clip)][
        : len(shown["predictions"])
    ]
    assert shown["model"]["status"] == "own"
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["phase"] == "train"] == [2, 4, 6]
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert list((tmp_path / "whole").glob("events.out.tfevents.*"))
    assert (tmp_path / "whole" / "confusion.html").is_file()


@pytest.mark.slow
def test_a_run_killed_by_the_system_resumes(config, tmp_path):
    out, said = tmp_path / "run", tmp_path / "said"
    options = [f"run.out={out}", "run.save_every=1"]
    process = processes.start(runs.run, config, *options, "run.steps=40", output=said)
    try:
        deadline = time.monotonic() + 120
        while not list(out.glob("state-[2-9]")) and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.kill()
        process.join()
    reached = max(int(path.name.split("-")[1]) for path in out.glob("state-*") if not path.name.endswith(".part"))
    assert 2 <= reached < 40
    processes.finish(processes.start(runs.run, config, *options, f"run.steps={reached + 3}", output=said), said)
    assert [path.name for path in out.glob("state-*")] == [f"state-{reached + 3}"]


def test_a_finished_run_is_not_repeated(config):
    settings = load_config(config, ["run.steps=2", "model.fields.dropout=0"])
    first = train(settings, quiet=True)
    before = weights(first.checkpoint.parent)
    second = train(settings, quiet=True)
    assert same(before, weights(second.checkpoint.parent))
    assert second.validation.confusion.tolist() == first.validation.confusion.tolist()

    fewer = load_config(config, ["run.steps=1", "model.fields.dropout=0"])
    files = (first.checkpoint, first.checkpoint.parent / "config.yaml")
    contents, facts = [path.read_bytes() for path in files], load_model(first.checkpoint).info.facts
    train(fewer, quiet=True)
    assert [path.read_bytes() for path in files] == contents
    first.checkpoint.unlink()
    assert load_model(train(fewer, quiet=True).checkpoint).info.facts == facts
    assert facts["training"]["run"]["steps"] == facts["step"] == facts["metrics"]["step"] == 2


def test_another_run_in_the_folder_is_left_alone(config, tmp_path):
    train(load_config(config, ["run.steps=1"]), quiet=True)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(
        ConfigError, match=r"another run \(optimizer.lr is 0.01 there, 0.02 here\); name another run.out"
    ):
        train(load_config(config, ["run.steps=2", "optimizer.lr=0.02"]), quiet=True)
    with pytest.raises(ConfigError, match="model.fields.temporal is None there, 'none' here"):
        train(load_config(config, ["run.steps=2", "model.fields.temporal=none"]), quiet=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    afresh = ["run.steps=1", "optimizer.lr=0.02", "run.resume=false"]
    assert load_model(train(load_config(config, afresh), quiet=True).checkpoint).info.facts["step"] == 1


def test_metrics_say_of_which_step_they_are_after_a_resume_too(config):
    settings = load_config(config, ["run.save_every=1", "run.eval_every=2"])
    for stop in (3, 4):
        with pytest.raises(TrainingError, match=f"stopped after step {stop}"):
            train(settings, quiet=True, stop_after=stop)
        facts = load_model(Path(settings.run.out) / "model.safetensors").info.facts
        assert facts["step"] == stop - 1
        assert facts["metrics"]["step"] == 2
        assert facts["metrics"]["videos"] == 15


def test_a_checkpoint_says_what_it_started_from(config, tmp_path):
    first = train(load_config(config, ["run.steps=1"]), quiet=True).checkpoint
    second = [f"run.out={tmp_path / 'second'}", f"model.weights={first}", "model.fields.temporal=none"]
    facts = load_model(train(load_config(config, [*second, "run.steps=1"]), quiet=True).checkpoint).info.facts
    assert facts["start"]["weights"] == "model.safetensors"
    assert all(".temporal." in key for key in facts["start"]["left_out_of_the_file"])
    assert facts["training"]["model"]["weights"] == str(first)


def test_a_folder_that_cannot_be_written_to_is_one_sentence(config):
    with pytest.raises(ExportError, match="^The folder /dev/null/x cannot be written to: Not a directory"):
        train(load_config(config, ["run.out=/dev/null/x"]), quiet=True)


def test_accumulation_equals_one_large_batch(config, tmp_path):
    """With batch statistics frozen, two batches of 2 make the step that one batch of 4 makes."""
    plain = ["optimizer.freeze_batch_norm=true", "model.fields.dropout=0", "run.steps=2", "optimizer.name=sgd"]
    plain += ["data.train=" + str(_without_broken(config, tmp_path))]
    for name, extra in (("one", ["run.batch=4"]), ("two", ["run.batch=2", "run.accumulation=2"])):
        train(load_config(config, [*plain, *extra, f"run.out={tmp_path / name}"]), quiet=True)
    _close(weights(tmp_path / "one"), weights(tmp_path / "two"))


@pytest.mark.slow
def test_two_processes_equal_one_which_cannot_go_on_for_them(config, tmp_path):
    """The same global batch through gloo gives the same weights, batch statistics frozen. But the place in the data and
    the random numbers of two processes are not those that one would go on with."""
    plain = ["optimizer.freeze_batch_norm=true", "model.fields.dropout=0", "run.steps=3", "optimizer.name=sgd"]
    plain += ["data.train=" + str(_without_broken(config, tmp_path))]
    train(load_config(config, [*plain, "run.batch=4", f"run.out={tmp_path / 'one'}"]), quiet=True)
    _two_processes(tmp_path, config, *plain, "run.batch=2", f"run.out={tmp_path / 'two'}")
    _close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("one", "two"))
    assert one["confusion"] == two["confusion"]

    further = [*plain, "run.batch=2", f"run.out={tmp_path / 'two'}", "run.steps=4"]
    with pytest.raises(ConfigError, match=r"made by 2 process\(es\) and cannot go on with 1; start as many"):
        train(load_config(config, further), quiet=True)
    assert (tmp_path / "two" / "state-3").is_dir(), "nothing is lost"
    _two_processes(tmp_path, config, *further)
    assert load_model(tmp_path / "two" / "model.safetensors").info.facts["step"] == 4


@pytest.mark.slow
def test_two_processes_go_on_where_one_has_no_clip_and_both_name_the_file(config, tmp_path):
    """With one clip each, one of them goes without at every step: not the same one in both."""
    listing = _good_and_broken(config, tmp_path)
    seed = next(seed for seed in range(99) if _first_is_broken(seed, 0) != _first_is_broken(seed, 1))
    same_for_both = [f"data.train={listing}", f"data.val={listing}", f"run.seed={seed}", "run.batch=1", "run.steps=2"]
    same_for_both += ["optimizer.precise_batch_norm=1", "run.checkpointing=true", "run.mixed_precision=bf16"]
    said = _two_processes(tmp_path, config, *same_for_both, "run.save_every=1")
    assert said.count("1 broken file(s) were left out, 2 time(s) in all") == 2
    stored = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert stored["videos"] == 1
    assert [(Path(name.split(":")[0]).name, count) for name, count in stored["failures"].items()] == [
        ("train_000003.mp4", 1)
    ]


def test_a_batch_of_broken_files_changes_nothing(config, tmp_path):
    """Neither weights nor statistics, nor the log, though a step has passed."""
    seed = next(seed for seed in range(99) if _first_is_broken(seed, 0))
    settings = load_config(
        config,
        [
            f"data.train={_good_and_broken(config, tmp_path)}",
            f"run.seed={seed}",
            *("run.batch=1", "run.save_every=1", "run.log_every=1", "run.steps=2"),
            *("optimizer.weight_decay=0", "optimizer.ema_decay=0", "model.fields.dropout=0"),
        ],
    )
    with pytest.raises(TrainingError, match="stopped after step 2"):
        train(settings, quiet=True, stop_after=2)
    torch.manual_seed(seed)
    start = build_model(settings, LABELS).state_dict()
    after = weights(tmp_path / "run")
    assert all(torch.equal(start[key], after[key]) for key in start if not key.endswith("num_batches_tracked"))
    result = train(settings, quiet=True)
    assert not torch.equal(start["fc.weight"], weights(tmp_path / "run")["fc.weight"])
    assert sum(result.failures.counts.values()) == 1
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {row["step"] for row in rows if row["phase"] == "train"} == {2}


@pytest.mark.parametrize(("steps", "said"), [(9, "Every file of 3 batches on end"), (2, "Every file of 2 batches")])
def test_a_run_without_any_whole_file_stops(config, tmp_path, monkeypatch, steps, said):
    monkeypatch.setattr(run, "MOST_BROKEN", 3)
    listing = _good_and_broken(config, tmp_path)
    listing.write_text(listing.read_text().splitlines()[1])
    with pytest.raises(TrainingError, match=said + ".*train_000003.mp4"):
        train(load_config(config, [f"data.train={listing}", "run.batch=1", f"run.steps={steps}"]), quiet=True)


def test_the_command_names_broken_files_at_its_end(config, capsys):
    assert main(["train", str(config), "run.steps=1", "run.batch=20", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["videos"] == 15
    assert "Training split: 1 broken file(s) were left out, 1 time(s) in all" in told.err
    assert "train_000003.mp4" in told.err


def test_a_loss_that_is_not_finite_stops_the_run(config):
    settings = load_config(config, ["optimizer.name=sgd", "optimizer.lr=1e30", "optimizer.clip_norm=0"])
    with pytest.raises(TrainingError, match="The loss is"):
        train(settings, quiet=True)


def test_shared_batch_statistics_need_gpus(config):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="sync_batch_norm"):
        train(load_config(config, ["run.sync_batch_norm=true"]), quiet=True)


def test_a_few_clips_can_be_learnt_by_heart(config, tmp_path):
    settings = load_config(
        config,
        [
            f"data.train={_without_broken(config, tmp_path)}",
            "run.steps=30",
            "run.batch=19",
            "run.log_every=5",
            "run.save_every=100",
            "model.fields.dropout=0",
            "data.short_sides=[32, 32]",
        ],
    )
    result = train(settings, quiet=True)
    rows = [json.loads(line) for line in (result.checkpoint.parent / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["phase"] == "train"]
    assert losses[-1] < 0.5 * losses[0]


def _without_broken(config, tmp_path) -> Path:
    source = Path(load_config(config).data.train)
    lines = [line for line in source.read_text().splitlines(True) if "000003" not in line]
    listing = tmp_path / "whole.txt"
    listing.write_text("".join(lines))
    return listing


def _good_and_broken(config, tmp_path) -> Path:
    lines = Path(load_config(config).data.train).read_text().splitlines(True)
    listing = tmp_path / "two.txt"
    listing.write_text(lines[0] + next(line for line in lines if "000003" in line))
    return listing


def _first_is_broken(seed: int, epoch: int) -> bool:
    """Whether the first of `_good_and_broken`'s clips in the order of an epoch is the broken one."""
    return int(np.random.default_rng([seed, epoch]).permutation(2)[0]) == 1


def _two_processes(tmp_path, config, *overrides) -> str:
    """Train in two processes of this machine; returns what they print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    return processes.ranks(runs.run, config, *overrides, folder=tmp_path, **places)


def _close(a, b) -> None:
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_allclose(a[key].float().numpy(), b[key].float().numpy(), rtol=1e-4, atol=1e-6, err_msg=key)
