"""What the README tells people to type works as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from sifa_core.cli import main
from sifa_core.paths import ASSETS, EXAMPLE_CLIPS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder that looks like the repository to the README: the assets, and a clip of one's own."""
    (tmp_path / "assets").symlink_to(ASSETS)
    shutil.copy(EXAMPLE_CLIPS / "cockatoo_moves_right.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_example_runs(folder):
    (example,) = blocks("python")
    names: dict = {}
    exec(example, names)
    assert len(names["points"].points) == 81
    assert "<!doctype html>" in (folder / "walk.html").read_text(encoding="utf-8").lower()


def test_the_commands_about_clips_run(folder, capsys):
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line, comments=True)[3:] for line in lines if line.startswith("python -m sifa_core")]
    about_clips = [command for command in commands if "clip.mp4" in command]
    assert len(about_clips) >= 2
    for command in about_clips:
        assert main(command) == 0, capsys.readouterr().err
    assert {"figure5.png", "viewer.html", "numbers.json"} <= {path.name for path in folder.iterdir()}


def test_links_and_pictures_are_there():
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert links
    for link in links:
        assert (ASSETS.parent / link).exists(), link
