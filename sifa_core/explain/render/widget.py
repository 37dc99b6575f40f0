"""The viewer as a widget of a notebook, by anywidget: its query, layer and frame are traits that go both ways.

Needs the extra `notebook`; everything else of the package does without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from sifa_core.errors import QueryError
from sifa_core.explain import viewer
from sifa_core.explain.analysis import Analysis, Selection
from sifa_core.explain.render.frame import page_in_frame
from sifa_core.explain.render.payload import viewer_payload


def widget_script() -> str:
    """The module that anywidget loads: the viewer's script, and what joins it to the traits."""
    return viewer.viewer_script() + Path(__file__).with_name("widget.js").read_text(encoding="utf-8")


class ViewerWidget(anywidget.AnyWidget):
    """One analysis in a viewer. A value that is not possible raises QueryError and changes nothing."""

    _esm = widget_script()
    _css = viewer.viewer_styles()
    payload = traitlets.Dict().tag(sync=True)
    query = traitlets.Tuple(traitlets.Int(), traitlets.CFloat(), traitlets.CFloat()).tag(sync=True)
    """(t, x, y): where the viewer asks; clicking there sets it, and setting it moves the viewer's query."""
    layer = traitlets.Unicode().tag(sync=True)
    """Name of the SIFA layer that is shown."""
    frame = traitlets.Int().tag(sync=True)
    """Feature frame that is shown: the t of `query`."""

    def __init__(self, analysis: Analysis, selection: Selection) -> None:
        self.analysis = analysis
        self._selection = selection
        super().__init__(
            payload=viewer_payload(analysis, selection, all_methods=True),
            query=selection.query,
            layer=selection.layer,
            frame=selection.query[0],
        )

    @traitlets.validate("query")
    def _check_query(self, proposal: dict[str, Any]) -> tuple[int, float, float]:
        return self.analysis.check_query(proposal["value"])

    @traitlets.validate("layer")
    def _check_layer(self, proposal: dict[str, Any]) -> str:
        if not proposal["value"]:
            raise QueryError("A viewer shows one layer; name it.")
        return self.analysis.check_layer(proposal["value"])

    @traitlets.validate("frame")
    def _check_frame(self, proposal: dict[str, Any]) -> int:
        return self.analysis.check_frame(proposal["value"])

    @traitlets.observe("query")
    def _follow_query(self, change: dict[str, Any]) -> None:
        self.frame = change["new"][0]

    @traitlets.observe("frame")
    def _follow_frame(self, change: dict[str, Any]) -> None:
        self.query = (change["new"], *self.query[1:])

    def _repr_html_(self) -> str:
        """The same analysis for places where no widget runs, such as a notebook that was saved and put on the web."""
        return page_in_frame(self.analysis, self._selection)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        shown = super()._repr_mimebundle_(**options)
        if shown is None:
            return None
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        return data | {"text/html": self._repr_html_()}, metadata
