"""The one page: what is on it, where, and what happens when it is touched.

The queue runs one handler at a time of those that need the model. Analyses stay on the server; the browser's session
holds nothing but the token of its own. What is shown of an analysis is the viewer's business alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from app import charts_panel, fragments
from app.downloads import KINDS, SAVES, build_courier, pack
from app.endpoints import add_endpoints
from app.explorer import READ_CHOICE, build_explorer, explorer_value, selection_of
from app.service import Service, UnknownExampleError
from app.shelf import build_mark, build_shelf
from app.tab_bar import BEHAVIOUR, FIRST, tab_bar
from app.tabs import TABS
from app.uploads import only_uploads
from app.visit import MODEL_QUEUE, QUIET, Updates, Visit

EXAMPLES_QUEUE: dict[str, Any] = {"concurrency_id": "examples", "concurrency_limit": 8}
"""Examples are analysed ahead: whoever opens one need not wait for the uploads of others."""
FILE_TYPES = ["video", ".mkv", ".avi", ".mov", ".webm", ".gif", ".m4v"]


def build_page(service: Service) -> gr.Blocks:
    """The page over a service, ready to be launched."""
    with gr.Blocks(title="SIFA Explorer", analytics_enabled=False) as page:
        token = gr.State("")
        choice = gr.JSON(visible=False)
        bar = tab_bar([(FIRST, "Explore"), *((entry.id, entry.title) for entry in TABS)])
        gr.HTML(fragments.header(service.model.info, bar), js_on_load=BEHAVIOUR, elem_id="masthead")
        with gr.Row(elem_id="sources"):
            shelf = build_shelf(service.examples.values())
            upload = gr.File(
                label="Your own clip", file_types=FILE_TYPES, elem_id="upload", show_label=False, height=54, scale=0
            )
        only_uploads(upload)
        with gr.Row(elem_id="line"):
            status = gr.HTML(elem_id="status")
            notice = gr.HTML(fragments.progress("Opening"), elem_id="notice")
            with gr.Row(elem_id="saves"):
                buttons = {
                    kind: gr.Button(SAVES[kind], elem_id=f"save-{kind}", size="sm", min_width=0, scale=0)
                    for kind in KINDS
                }
        with gr.Tabs(selected=FIRST, elem_id="tabs", overflow_behavior="wrap") as tabs:
            visit = Visit(service, token, choice, notice, tabs)
            with gr.Tab("Explore", id=FIRST, elem_id=f"tab-{FIRST}", render_children=True):
                explorer = build_explorer(service)
                charts_panel.build(visit)
            for entry in TABS:
                with gr.Tab(entry.title, id=entry.id, elem_id=f"tab-{entry.id}") as space:
                    entry.build(visit, space)
        courier, mark = build_courier(), build_mark()

        everything: list[Component] = [token, mark, status, notice, explorer]

        def arrive(key: str, example: str = "") -> Updates:
            kept = service.kept(key)
            return {
                token: key,
                mark: {"example": example},
                status: fragments.clip_facts(kept.analysis.clip),
                notice: "",
                explorer: explorer_value(kept.payload, key, example),
            }

        @visit.guard
        def open_example(event: gr.SelectData) -> Iterator[Updates]:
            name = str(event.value)
            key = service.kept_example(name)
            if key is None:
                yield {notice: fragments.progress("Reading the clip and running the model")}
                key = service.open_example(name)
            yield arrive(key, name)

        @visit.guard
        def open_link(request: gr.Request) -> Iterator[Updates]:
            if not service.examples:
                yield {notice: fragments.failure("There are no example clips here; add a clip of your own.")}
                return
            first = next(iter(service.examples))
            name = str(request.query_params.get("example") or first)
            try:
                yield arrive(service.open_example(name), name)
            except UnknownExampleError:
                sentence = f"There is no example {name!r} here, so this is the first one."
                yield arrive(service.open_example(first), first) | {notice: fragments.failure(sentence)}

        @visit.guard
        def open_upload(path: str | None) -> Iterator[Updates]:
            if path is None:
                return
            yield {notice: fragments.progress("Reading the clip"), upload: None}
            read = service.read(path)  # the file goes with the next sweep: another visitor may have sent the same one
            yield {notice: fragments.progress("Running the model")}
            yield arrive(service.analyze(*read))

        def download(kind: str) -> Callable[..., Iterator[Updates]]:
            @visit.guard
            def save(key: str, chosen: Any) -> Iterator[Updates]:
                analysis = service.analysis(key)
                selection = selection_of(analysis, chosen)
                yield {notice: fragments.progress(f"Writing the {kind.upper()} file")}
                with service.model_lock:
                    file = pack(analysis, selection, kind)
                yield {courier: file, notice: ""}

            return save

        opened = (
            page.load(open_link, None, everything, **EXAMPLES_QUEUE, **QUIET),
            shelf.select(open_example, None, everything, **EXAMPLES_QUEUE, **QUIET),
            upload.upload(open_upload, upload, [*everything, upload], **MODEL_QUEUE, **QUIET),
        )
        for event in opened:
            visit.forget(event, explorer)
        for kind, button in buttons.items():
            saved = button.click(
                download(kind), [token, choice], [courier, notice], js=READ_CHOICE, **MODEL_QUEUE, **QUIET
            )
            visit.forget(saved, courier)
        add_endpoints(service, **MODEL_QUEUE)
    return page
