"""The tabs beside Explore, in the order of the page. Each is one module with `build(context, tab)`.

A tab computes nothing until it is opened: it listens to `tab.select`, and to `context.token` for a change of the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from app.page_context import PageContext
from app.tabs import about, compare, learn, offsets


@dataclass(frozen=True)
class TabEntry:
    """One tab: its id in links, its title, and what fills it."""

    id: str
    title: str
    build: Callable[[PageContext, gr.Tab], None]


TABS: tuple[TabEntry, ...] = (
    TabEntry("offsets", "Offsets", offsets.build),
    TabEntry("compare", "Compare", compare.build),
    TabEntry("learn", "Learn", learn.build),
    TabEntry("about", "About", about.build),
)
