"""Handlers on the page: what they say is passed on, what goes wrong is one sentence, and silence changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import fragments
from app.page_context import UNEXPECTED, PageContext, Updates
from app.service import Service
from sifa_core.errors import QueryError


def test_guard(service: Service) -> None:
    with gr.Blocks():
        notice = gr.HTML()
        context = PageContext(service, notice)

    @context.guard
    def act(what: Any) -> Iterator[Updates]:
        if what == "bad":
            raise QueryError("There is no such place.")
        if what == "broken":
            raise RuntimeError("inner workings")
        if what != "nothing":
            yield {notice: what}

    assert list(act("a step")) == [{notice: "a step"}]
    assert list(act("bad")) == [{notice: fragments.failure("There is no such place.")}]
    assert list(act("broken")) == [{notice: fragments.failure(UNEXPECTED)}]
    # Gradio would empty all outputs of a generator that yields nothing.
    assert list(act("nothing")) == [{notice: gr.skip()}]
