"""What was asked for first does not replace what was asked for since, however late its answer comes."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from app.page import build_page
from app.service import Service
from app.visit import Updates
from app.wishes import MADE, Wishes


def test_an_answer_ends_when_something_newer_is_asked_for() -> None:
    wishes, notice, begun = Wishes(), gr.HTML(), []

    def work(name: str) -> Iterator[Updates]:
        for step in ("reading", "running", "there"):
            begun.append(f"{name} {step}")
            yield {notice: f"{name} {step}"}

    done = wishes.serve(5.0, work("first"))
    assert [next(done)[notice] for _ in range(3)] == ["first reading", "first running", "first there"]
    upload = wishes.serve(10.0, work("upload"))
    assert next(upload) == {notice: "upload reading"}
    assert list(wishes.serve(20.0, work("example")))[-1] == {notice: "example there"}
    assert list(upload) == [{notice: gr.skip()}], "Gradio would show the last thing said once more"
    assert list(done) == [{notice: gr.skip()}]
    assert "upload there" not in begun, "what nobody waits for is not worked out"
    assert list(wishes.serve(15.0, work("queued"))) == [{notice: gr.skip()}], "made before, but its turn came later"
    assert list(wishes.serve(30.0, work("upload")))[-1] == {notice: "upload there"}


def test_every_wish_is_begun_and_knows_when_it_was_made(service: Service) -> None:
    page = build_page(service)
    wishes = {each.name: each for each in page.fns.values() if str(each.name).startswith("open_") and each.js == MADE}
    assert sorted(wishes) == ["open_example", "open_link", "open_upload"]
    for each in wishes.values():
        assert each.trigger_mode == "multiple"
        assert isinstance(each.inputs[-2].value, Wishes)
        assert isinstance(each.inputs[-1], gr.Number)
