"""The one grammar of KEY=VALUE, and what is said about fields that do not exist."""

from __future__ import annotations

import pytest

from sifa_core.errors import ConfigError
from sifa_core.fields import check_counts, parse_key_values, unknown_field


@pytest.mark.parametrize(
    ("texts", "content"),
    [
        ([], {}),
        (["a=3", "b.c=none", "b.d=[res4, res5]"], {"a": 3, "b": {"c": "none", "d": ["res4", "res5"]}}),
        (['stages=["res5"]', "lr=1e-3", "flag=true"], {"stages": ["res5"], "lr": 0.001, "flag": True}),
        (["weights=", "path=a=b", " space = x "], {"weights": "", "path": "a=b", "space": "x"}),
        (["a=1", "a=2", "b=[1, 2]", "b=[3]"], {"a": 2, "b": [3]}),
        (["out=${root}/x"], {"out": "${root}/x"}),  # a configuration resolves it where it is whole
    ],
)
def test_the_grammar(texts, content):
    assert parse_key_values(texts) == content


@pytest.mark.parametrize("text", ["steps", "=3", ".a=3", "a..b=3", "a b=3", ""])
def test_what_is_no_key_and_value_is_named(text):
    with pytest.raises(ConfigError, match="is not of the form key=value"):
        parse_key_values([text])


@pytest.mark.parametrize("text", ["a=[", "a=${", "a={b"])
def test_values_that_cannot_be_read_are_named(text):
    with pytest.raises(ConfigError, match="is not valid YAML"):
        parse_key_values([text])


def test_the_nearest_name_is_offered():
    assert str(unknown_field(["step", "wings"], ("steps", "batch"), "run")) == (
        "run has no field step (did you mean steps?), wings; it has steps, batch."
    )


def test_counts_in_tuples_are_named_by_their_place():
    class Config:
        layers = (1, 2, 0)

    with pytest.raises(ConfigError, match=r"layers\[2\]=0 is not possible"):
        check_counts(Config(), "layers")
