"""The viewer's component: what is sent to it, and that nothing of a clip gets into what the page runs."""

from __future__ import annotations

from app.bundle import part, program
from app.explorer import build_explorer, explorer_value
from app.models import MAIN


def test_nothing_of_a_clip_gets_into_the_template_or_the_script() -> None:
    component = build_explorer()
    value = component.postprocess(explorer_value({"clip": {"name": "${7*7}"}}, "key", "name"))
    assert value == {"example": "name", "token": "key", "model": MAIN, "analysis": {"clip": {"name": "${7*7}"}}}
    assert "$" not in component.html_template
    assert "{" not in component.html_template
    assert component.js_on_load == program() + part("explorer")
