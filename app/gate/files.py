"""Plotly's own program, which the front end fetches when it draws its first chart: it comes with Python's plotly."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files

PLOTLY = "/plotly.min.js"
"""Its address below the page's."""
HEADERS = [
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"cache-control", b"public, max-age=86400"),
]


async def plotly() -> bytes:
    """The program, read once; some megabytes."""
    return await asyncio.to_thread(_plotly)


@cache
def _plotly() -> bytes:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
