"""Colours that Python and JavaScript share: theme.json, read here and by web/src/viewer/colour_maps.js.

`page` are the greys and accents of the page, each light and dark; `marks` what is drawn over a clip; `charts` the lines
of charts. `maps` says which table of 256 colours, smallest value first, stands for a quantity; the tables are
perceptually even, safe for colour-blind eyes, and those of matplotlib's maps of the same names (public domain, CC0).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

THEME: dict[str, Any] = json.loads((Path(__file__).parent / "theme.json").read_text(encoding="utf-8"))

PAGE: dict[str, list[str]] = THEME["page"]
CHARTS: dict[str, str] = THEME["charts"]
QUERY_COLOUR: str = THEME["marks"]["query"]
LINK_COLOUR: str = THEME["marks"]["link"]
BOX_COLOUR: str = THEME["marks"]["box"]
"""The query is green and the lines to the strongest points are purple, as in the paper's Figure 5; a box is red."""


@cache
def colour_table(quantity: str) -> NDArray[np.uint8]:
    """The 256 colours of weights, motion, saliency or evidence, smallest value first: [256, 3], RGB."""
    text = THEME["tables"][THEME["maps"][quantity]]
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(256, 3)
