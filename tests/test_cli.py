"""The command line in a process of its own, as people use it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sifa_core
from sifa_core.cli import main
from sifa_core.data.isolated import Readers
from sifa_core.data.motion15 import LABELS
from sifa_core.models import create_model, save_checkpoint
from sifa_core.paths import EXAMPLE_CLIPS
from tests.data import hostile

CLIP = str(EXAMPLE_CLIPS / "cockatoo_moves_right.mp4")


@pytest.fixture
def untrained(tmp_path) -> str:
    """Weights without a status of their own count as the user's, so predictions are shown."""
    return str(save_checkpoint(tmp_path / "own.safetensors", create_model("sifa_net_tiny")))


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_predict_prints_labels_and_probabilities(capsys, untrained):
    code, out, _ = run(capsys, "predict", CLIP, "--model", untrained, "--top", "3")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "cockatoo_moves_right.mp4"
    assert len(lines) == 4
    assert all("%" in line and "class" in line for line in lines[1:])


def test_predict_is_of_the_whole_video_unless_a_part_is_named(capsys, untrained):
    code, out, _ = run(capsys, "predict", CLIP, "--model", untrained, "--json", "--views", "3", "--top", "2")
    assert code == 0
    (row,) = json.loads(out)["clips"]
    assert row["views"] == 3
    expected = sifa_core.predict_video(sifa_core.load_model(untrained), CLIP, 3)[:2]
    assert [tuple(each) for each in row["predictions"]] == [(label, pytest.approx(p)) for label, p in expected]


def test_predict_json_is_the_api(capsys, untrained):
    code, out, _ = run(capsys, "predict", CLIP, CLIP, "--model", untrained, "--json", "--start", "3", "--stride", "2")
    assert code == 0
    answer = json.loads(out)
    assert len(answer["clips"]) == 2
    model = sifa_core.load_model(untrained)
    clip = sifa_core.read_clip(CLIP, 16, start=3, stride=2)
    expected = sifa_core.analyze(model, clip).predictions[:5]
    assert [label for label, _ in answer["clips"][0]["predictions"]] == [label for label, _ in expected]
    np.testing.assert_allclose([p for _, p in answer["clips"][0]["predictions"]], [p for _, p in expected], rtol=1e-4)
    assert answer["model"]["status"] == "own"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_bad_clip_among_others_costs_only_its_own_answer(capsys, untrained, tmp_path, as_json):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    arguments = ["predict", CLIP, str(bad), CLIP, "--model", untrained, "--views", "1", "--top", "1"]
    code, out, err = run(capsys, *arguments, *(["--json"] if as_json else []))
    assert code == 2
    assert err.splitlines()[-1] == "error: 1 of 3 clips could not be read."
    if as_json:
        first, broken, last = json.loads(out)["clips"]
        assert broken["clip"] == "bad.mp4"
        assert "bad.mp4 is not a video" in broken["error"]
        assert first == last
        assert len(first["predictions"]) == 1
    else:
        assert out.splitlines()[0] == out.splitlines()[2] == "cockatoo_moves_right.mp4"
        assert len(out.splitlines()) == 4
        assert err.startswith("error: bad.mp4 is not a video")


def test_explain_writes_what_is_asked(capsys, untrained, tmp_path):
    files = [tmp_path / "a.png", tmp_path / "b.json", tmp_path / "c.html"]
    query = ["--query", "1,100,80", "--layer", "res4.1", "--levels", "1", "--target", "3"]
    code, out, err = run(capsys, "explain", CLIP, "--model", untrained, "-o", *map(str, files), *query)
    assert code == 0
    assert all(file.stat().st_size > 1000 for file in files)
    assert "res4.1: offsets 0.00 cells" in out
    assert "fault: The offsets of" in out, "its offsets are dead, and it does not say that it is untrained"
    assert err.count("Wrote") == 3
    saved = json.loads(files[1].read_text())
    assert saved["query"] == {"t": 1, "x": 100.0, "y": 80.0, "layer": "res4.1", "levels": 1}
    assert saved["grad_cam"]["target"] == 3


def test_explain_prints_json(capsys, untrained, tmp_path):
    code, out, _ = run(capsys, "explain", CLIP, "--model", untrained, "--json", "-o", str(tmp_path / "a.json"))
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "a.json").read_text())


def test_explain_does_not_replace_the_clip(capsys, monkeypatch, tmp_path):
    shutil.copy(CLIP, tmp_path / "walk.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sifa_core.commands.clips.load", lambda options: pytest.fail("the mistake should cost nothing"))
    code, out, err = run(capsys, "explain", "walk.mp4", "-o", str(tmp_path / "walk.mp4"))
    assert (code, out) == (2, "")
    assert err == "error: walk.mp4 is the clip itself; choose another name.\n"
    assert (tmp_path / "walk.mp4").read_bytes() == Path(CLIP).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "gone.mp4"], "gone.mp4"),
        (["predict", CLIP, "--model", "gone"], "no model named 'gone'"),
        (["predict", CLIP, "--model", "gone.safetensors"], "no checkpoint file gone.safetensors"),
        (["predict", CLIP, "--device", "abacus"], "no device 'abacus'"),
        (["explain", CLIP, "-o", "a.doc"], "the ending must be one of"),
        (["explain", CLIP, "-o", "a.json", "--query", "9,1,1"], "no feature frame 9"),
        (["explain", CLIP, "-o", "a.json", "--query", "1,9999,1"], "outside the clip"),
        (["explain", CLIP, "-o", "a.json", "--layer", "res9"], "no SIFA layer 'res9'"),
        (["explain", CLIP, "-o", "a.json", "--target", "flying"], "no class 'flying'"),
        (["explain", CLIP, "-o", "a.json", "--start", "99999"], "cockatoo_moves_right.mp4"),
        (["train", "gone.yaml"], "gone.yaml cannot be read"),
        (["evaluate", "--config", "gone.yaml"], "gone.yaml cannot be read"),
        (["evaluate", "--card", "CARD.md"], "--card goes with --explanations"),
        (["evaluate", "--explanations", "--card", "gone.md"], "model card gone.md cannot be read"),
        (["evaluate", "--explanations", "--control", "frozen"], "takes neither --config"),
        (["evaluate", "--explanations", "gone.safetensors"], "no checkpoint file gone.safetensors"),
        (["make-dataset", "set", "--size", "64", "81"], "both sides must be even"),
        (["make-dataset", "set", "--split", "exam"], "no split 'exam'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="there are no workers")
def test_a_file_made_to_do_harm_costs_only_its_own_answer(capsys, untrained, tmp_path):
    """Read in this process, this one took it down."""
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(hostile.EXHAUSTING["profile.png"](2000))
    code, out, _ = run(capsys, "predict", str(bomb), CLIP, "--model", untrained, "--views", "1", "--json")
    assert code == 2
    broken, right = json.loads(out)["clips"]
    assert broken["error"] == "bomb.png would take more memory to read than a clip may take here."
    assert len(right["predictions"]) == 5


def test_trusted_files_are_read_in_this_process(capsys, untrained, monkeypatch):
    monkeypatch.setattr(Readers, "_running", lambda self: pytest.fail("a worker was asked for"))
    code, out, _ = run(capsys, "predict", CLIP, "--model", untrained, "--views", "1", "--trusted")
    assert code == 0
    assert out.startswith("cockatoo_moves_right.mp4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["predict"], "required: CLIP"),
        (["predict", CLIP, "--top", "0"], "must be at least 1"),
        (["predict", CLIP, "--stride", "fast"], "argument --stride"),
        (["explain", CLIP, "--query", "1,2"], "write it as T,X,Y"),
        (["explain", CLIP, "--levels", "3"], "argument --levels"),
    ],
)
def test_mistyped_commands_are_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_evaluate_explanations_prints_tables_and_writes_files_and_card(capsys, untrained, tmp_path):
    card, folder = tmp_path / "CARD.md", tmp_path / "out"
    card.write_text("# My model\n", encoding="utf-8")
    where = ["--card", str(card), "-o", str(folder)]
    code, out, _ = run(capsys, "evaluate", untrained, "--explanations", "--clips", "1", "--size", "32", *where)
    assert code == 0
    assert out.startswith("## Explanations\n\nmotion15 test, seed 0, from clip 3000 on: 1 clips")
    assert card.read_text(encoding="utf-8") == "# My model\n\n" + out
    assert (folder / "explanations.md").read_text(encoding="utf-8") == out
    assert json.loads((folder / "explanations.json").read_text())["model"]["source"] == "own.safetensors"


def test_make_dataset_writes_clips_that_can_be_read(capsys, tmp_path):
    code, _, err = run(capsys, "make-dataset", str(tmp_path), "--count", "2", "--size", "64", "80", "--split", "val")
    assert code == 0
    assert "Wrote" in err
    lines = (tmp_path / "val.txt").read_text().splitlines()
    assert len(lines) == 2
    clip = sifa_core.read_clip(tmp_path / lines[0].split()[0], 16, start=0, stride=1)
    assert clip.frames.shape == (16, 64, 80, 3)


def test_as_a_module_from_another_folder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(sifa_core.__file__).parents[1])}
    command = [sys.executable, "-m", "sifa_core", "predict", CLIP, "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clips"][0]["clip"] == "cockatoo_moves_right.mp4"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["", "app", "predict", "explain", "train", "evaluate", "make-dataset", "bench", "profile", "export"]
)
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert "usage: sifa" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["--help"], ["predict", "--help"], ["predict", CLIP, "--json", "--views", "1"]])
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(command):
    """As `sifa ... | head -0`: nothing on standard error. argparse keeps a closed pipe under its own help to itself."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sifa_core", *command], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=240
    )
    os.close(writing)
    assert done.returncode in ((0, 141) if "--help" in command else (141,))
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("command", [["predict", CLIP], ["evaluate", "--size", "2"]], ids=lambda words: words[0])
def test_a_network_that_gives_nan_is_an_error_with_a_name(capsys, tmp_path, command):
    model = create_model("sifa_net_tiny", width=4)
    model.info = dataclasses.replace(model.info, labels=LABELS)
    torch.nn.init.constant_(model.fc.bias, float("nan"))
    facts = {"training": {"data": {"kind": "motion15", "workers": 0}}}
    path = save_checkpoint(tmp_path / "broken.safetensors", model, facts)
    code, out, error = run(capsys, *command, "--model", str(path))
    assert (code, out) == (2, "")
    of = "cockatoo_moves_right.mp4" if command[0] == "predict" else "test clip 0"
    assert error == f"error: broken.safetensors gives values that are not finite for {of}.\n"
