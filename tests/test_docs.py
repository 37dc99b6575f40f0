"""What README.md and docs/ tell people to type works as it stands, page by page."""

import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from sifa_core.cli import main, make_parser
from sifa_core.paths import ASSETS, EXAMPLE_CLIPS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "cuda" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ABOUT_CLIPS = ("predict", "explain")
NEEDS_A_SERVER = "from gradio_client"
"""What begins like this is run by tests/app/test_endpoints.py."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of every command of the page's shell blocks, comments left out."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def arguments_of_sifa(words: list[str]) -> list[str] | None:
    """What follows `sifa`, `python -m sifa_core` or that under torchrun; None for another command."""
    if words[0] == "sifa":
        return words[1:]
    if words[0] == "torchrun":
        return words[words.index("sifa_core") + 1 :]
    is_module = len(words) > 3 and words[0].endswith("python") and words[1:3] == ["-m", "sifa_core"]
    return words[3:] if is_module else None


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder that looks like the repository to a page: the assets, and a clip of one's own."""
    (tmp_path / "assets").symlink_to(ASSETS)
    shutil.copy(EXAMPLE_CLIPS / "cockatoo_moves_right.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request) -> Path:
    return request.param


def test_readme_is_one_page_and_leads_to_the_others():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in text


def test_links_and_pictures_are_there(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", text) + re.findall(r'src="((?!http)[^"]+)"', text)
    for link in links:
        assert (page.parent / link).exists(), link


def test_python_examples_run(folder):
    for page in PAGES:
        for example in blocks(page, "python"):
            if NEEDS_A_SERVER not in example:
                exec(example, names := {})
                assert len(names["points"].points) == 81
    for name in ("walk.html", "clip.html"):
        assert "<!doctype html>" in (folder / name).read_text(encoding="utf-8").lower()


def test_commands_about_clips_run(folder, capsys):
    found = [arguments for page in PAGES for words in commands(page) if (arguments := arguments_of_sifa(words))]
    about_clips = [arguments for arguments in found if arguments[0] in ABOUT_CLIPS]
    assert len(about_clips) >= 4
    for arguments in about_clips:
        assert main(arguments) == 0, capsys.readouterr().err
    written = {path.name for path in folder.iterdir()}
    assert {"figure5.png", "clip.html", "viewer.html", "numbers.json"} <= written


def test_commands_exist_and_take_their_options(page):
    """Those that are not run here, because they serve or train, are at least understood."""
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in commands(page):
        if (arguments := arguments_of_sifa(words)) is not None:
            if "--help" not in arguments:
                make_parser().parse_args(arguments)
            for name in arguments:
                assert not name.startswith("configs/") or (ROOT / name).is_file(), name
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", rules, re.MULTILINE), words
            for setting in words[2:]:
                assert f"$({setting.partition('=')[0]})" in rules, setting
        elif words[:2] == ["python", "-m"]:
            assert find_spec(words[2]), words
        else:
            assert words[0] in ("pip", "docker", "git", "export", "curl"), words
