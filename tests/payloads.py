"""The viewer's payload and page for a choice of what is shown first, as the page and `save` make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sifa_core.explain.analysis import Analysis
from sifa_core.explain.render.page import html
from sifa_core.explain.render.payload import viewer_payload


def payload_of(analysis: Analysis, video: Sequence[tuple[str, float]] | None = None, **choice: Any) -> dict[str, Any]:
    """`choice` is what `Analysis.select` takes."""
    return viewer_payload(analysis, analysis.select(**choice), video)


def page_of(analysis: Analysis, **choice: Any) -> str:
    """`choice` is what `Analysis.select` takes."""
    return html(analysis, analysis.select(**choice)).decode()
