"""The HTML file of an analysis within another page, as a frame that carries its whole content: for notebooks."""

from __future__ import annotations

import html

from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.render import page

HEIGHT = 860
"""Pixels: the viewer beside a notebook's column, with its filmstrip and controls."""


def page_in_frame(analysis: Analysis, selection: Selection) -> str:
    """An iframe with the page in its `srcdoc`. The page may run its script and give downloads, and reaches nothing of
    the page around it."""
    content = html.escape(page.html(analysis, selection).decode())
    title = html.escape(f"{analysis.clip.source.name} – SIFA Explorer")
    return (
        f'<iframe title="{title}" sandbox="allow-scripts allow-downloads" srcdoc="{content}" '
        f'style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'
    )
