"""What was asked for first does not replace what was asked for since, however late its answer comes."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from app.latest_request import REQUEST_TIME_JS, LatestRequest
from app.page import build_page
from app.page_context import Updates
from app.service import Service


def test_an_answer_ends_when_something_newer_is_asked_for() -> None:
    latest, notice, begun = LatestRequest(), gr.HTML(), []

    def work(name: str) -> Iterator[Updates]:
        for step in ("reading", "running", "there"):
            begun.append(f"{name} {step}")
            yield {notice: f"{name} {step}"}

    done = latest.serve(5.0, work("first"))
    assert [next(done)[notice] for _ in range(3)] == ["first reading", "first running", "first there"]
    upload = latest.serve(10.0, work("upload"))
    assert next(upload) == {notice: "upload reading"}
    assert list(latest.serve(20.0, work("example")))[-1] == {notice: "example there"}
    assert list(upload) == [{notice: gr.skip()}], "Gradio would show the last thing said once more"
    assert list(done) == [{notice: gr.skip()}]
    assert "upload there" not in begun, "what nobody waits for is not computed"
    assert list(latest.serve(15.0, work("queued"))) == [{notice: gr.skip()}], "made before, but its turn came later"
    assert list(latest.serve(30.0, work("upload")))[-1] == {notice: "upload there"}


def test_every_request_is_begun_and_knows_when_it_was_made(service: Service) -> None:
    page = build_page(service)
    requests = {each.name: each for each in page.fns.values() if each.js == REQUEST_TIME_JS}
    assert sorted(map(str, requests)) == ["open_example", "open_link", "open_upload"]
    for each in requests.values():
        assert each.trigger_mode == "multiple"
        assert isinstance(each.inputs[-2].value, LatestRequest)
        assert isinstance(each.inputs[-1], gr.Number)
