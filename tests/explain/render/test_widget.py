"""The viewer in a notebook, seen from Python: its traits, what it refuses, and what stands in for it."""

from __future__ import annotations

import html
import re

import pytest

from sifa_core import explore
from sifa_core.data import Clip
from sifa_core.errors import QueryError
from sifa_core.explain.explanation import Explanation
from tests.explain.conftest import HEIGHT, WIDTH
from tests.install.test_imports import run


@pytest.fixture
def widget(analysis):
    return analysis.widget((1, 40.0, 30.0), "res5.1")


def test_query_layer_and_frame_say_what_is_shown(widget, analysis):
    assert (widget.query, widget.layer, widget.frame) == ((1, 40.0, 30.0), "res5.1", 1)
    assert widget.payload["start"] == {"layer": "res5.1", "levels": 2, "query": [1, 40.0, 30.0], "paper": False}
    assert widget.analysis is analysis
    assert analysis.widget().layer == analysis.clear_layer


def test_frame_is_the_first_number_of_the_query(widget):
    widget.query = (2, 10, 20)
    assert widget.frame == 2
    widget.frame = 0
    assert widget.query == (0, 10, 20)
    widget.set_state({"query": [3, 5, 6.5], "layer": "res4.0"})  # as a browser does
    assert (widget.query, widget.frame, widget.layer) == ((3, 5, 6.5), 3, "res4.0")


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("query", (1, WIDTH + 1, 5), f"has {WIDTH} x {HEIGHT} pixels"),
        ("query", (9, 5, 5), "no feature frame 9"),
        ("layer", "res9", "no SIFA layer 'res9'"),
        ("layer", "", "shows one layer"),
        ("frame", 9, "no feature frame 9"),
    ],
)
def test_what_is_not_possible_changes_nothing(widget, trait, value, message):
    before = (widget.query, widget.layer, widget.frame)
    with pytest.raises(QueryError, match=message):
        setattr(widget, trait, value)
    assert (widget.query, widget.layer, widget.frame) == before


def test_one_line_explores_a_clip(model, clip):
    widget = explore(model, clip, (1, 40, 30), levels=1)
    assert widget.query == (1, 40, 30)
    assert widget.payload["start"]["levels"] == 1
    assert isinstance(widget.analysis, Explanation)


def test_where_no_widget_runs_a_frame_holds_the_page(analysis, widget):
    shown = analysis._repr_html_()
    (content,) = re.findall(r'srcdoc="([^"]*)"', shown)
    page = html.unescape(content)
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert 'sandbox="allow-scripts allow-downloads"' in shown
    assert '"query":[1,40.0,30.0]' in html.unescape(widget._repr_html_())
    data, _ = widget._repr_mimebundle_()
    assert data["text/html"] == widget._repr_html_()
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_name_of_a_clip_cannot_leave_the_frame(analysis):
    named = Clip.from_array(analysis.clip.frames, fps=25, name='"><script>alert(1)</script>.mp4')
    hostile = Explanation(analysis.model, named, analysis.video, analysis.logits, analysis.traces)
    assert "<script>" not in hostile._repr_html_()


def test_without_the_extra_one_sentence_says_what_to_install():
    said = run(
        """
        from sifa_core.errors import ExportError
        from sifa_core.explain.explanation import Explanation
        try:
            Explanation.widget(None)
        except ExportError as error:
            print(error)
        """,
        without=("anywidget",),
    )
    assert said.strip() == 'This needs the package anywidget: pip install "sifa-explorer[notebook]".'
