"""Colours that Python and JavaScript share: what is drawn in one is what is drawn in the other."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pytest

from sifa_core.explain.render.figure5 import colour_map
from sifa_core.explain.viewer import viewer_styles
from sifa_core.explain.viewer.theme import CHARTS, PAGE, THEME, colour_table


@pytest.mark.parametrize("quantity", THEME["maps"])
def test_tables_are_the_perceptually_even_ones(quantity: str) -> None:
    table = colour_table(quantity)
    exact = matplotlib.colormaps[THEME["maps"][quantity]](np.arange(256))[:, :3]
    np.testing.assert_array_equal(table, np.round(255 * exact))
    np.testing.assert_allclose(colour_map(quantity)([0.0, 0.5, 1.0])[:, :3], table[[0, 128, 255]] / 255)


def test_no_two_quantities_and_no_two_marks_look_alike() -> None:
    assert len(set(THEME["maps"].values())) == len(THEME["maps"])
    marks = [*THEME["marks"]["pins"], *(THEME["marks"][name] for name in ("query", "link", "box"))]
    assert len(set(marks)) == len(marks)


def test_colours_are_colours_and_in_the_styles() -> None:
    pairs = [colour for pair in PAGE.values() for colour in pair]
    for colour in [*pairs, *CHARTS.values()]:
        assert re.fullmatch("#[0-9a-f]{6}", colour)
    assert "--accent: light-dark(#1d5fd1, #7db2ff)" in viewer_styles()
