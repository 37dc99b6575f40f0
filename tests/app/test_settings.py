"""Settings from the environment, their mistakes, and their table in the guide."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings, table
from sifa_core.errors import ConfigError

ROOT = Path(__file__).parents[2]


def test_the_environment_counts_and_options_win() -> None:
    environment = {
        "SIFA_QUEUE": "7",
        "SIFA_COMPARE": "a.pth, b.pth",
        "SIFA_MODEL": "mine.pth",
        "HOME": "/",
        "SIFA_LOG": "",
    }
    settings = Settings.from_environment(environment, model="theirs.pth")
    assert (settings.queue, settings.compare, settings.model, settings.log) == (
        7,
        ("a.pth", "b.pth"),
        "theirs.pth",
        "info",
    )


def test_a_space_may_be_shown_by_its_host_and_nobody_else_by_default() -> None:
    assert Settings.from_environment({}).embed == ()
    space = Settings.from_environment({"SPACE_ID": "a/b"})
    assert (space.embed, space.proxies) == (("https://huggingface.co",), 1)
    assert Settings.from_environment({"SPACE_ID": "a/b", "SIFA_PROXIES": "2"}).proxies == 2


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("SIFA_QUEUES", "1", "There is no setting SIFA_QUEUES; there are SIFA_ADDRESS_QUEUE, "),
        ("SIFA_QUEUE", "many", "SIFA_QUEUE='many' is not possible; it is a whole number."),
        ("SIFA_QUEUE", "0", "SIFA_QUEUE=0 is not possible; it is from 1 to 10000."),
        ("SIFA_LOG", "loud", "SIFA_LOG='loud' is not possible; it is one of debug, info, warning, error."),
        ("SIFA_ROOT_PATH", "sifa/", "SIFA_ROOT_PATH='sifa/' is not possible; it is a path such as /sifa."),
        ("SIFA_EMBED", "*", "SIFA_EMBED has '*'; an origin is such as https://example.org."),
    ],
)
def test_a_mistake_is_one_sentence(name: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_environment({name: text})
    assert str(caught.value).startswith(sentence)


def test_folders_are_not_printed() -> None:
    lines = Settings(model="/home/someone/mine.pth", compare=("/home/x/a.pth",)).lines()
    assert lines[:2] == ["SIFA_MODEL=mine.pth", "SIFA_COMPARE=a.pth"]


def test_the_guide_has_every_setting_with_its_default() -> None:
    text = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in text
