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
from app.wishes import MADE, Wishes

EXAMPLES_QUEUE: dict[str, Any] = {"concurrency_id": "examples", "concurrency_limit": 8}
"""Examples are analysed ahead: whoever opens one need not wait for the uploads of others."""
WISH: dict[str, Any] = {"js": MADE, "trigger_mode": "multiple"}
"""Whatever a visitor asks to open is begun at once, beside what was asked for before: `Wishes` sees to it that the last
one is shown. (In Gradio, an event that cancels others does so when it is itself over.)"""


def build_page(service: Service) -> gr.Blocks:
    """The page over a service, ready to be launched."""
    with gr.Blocks(title="SIFA Explorer", analytics_enabled=False) as page:
        token = gr.State("")
        choice = gr.JSON(visible=False)
        wishes, made = gr.State(Wishes()), gr.Number(visible=False)
        bar = tab_bar([(FIRST, "Explore"), *((entry.id, entry.title) for entry in TABS)])
        gr.HTML(fragments.header(service.model.info, bar), js_on_load=BEHAVIOUR, elem_id="masthead")
        with gr.Row(elem_id="sources"):
            shelf = build_shelf(service.examples.values())
            # Any ending: the content decides, and what cannot be read is refused in one sentence on the page. A browser
            # that was told which types to expect would refuse .mts and others by itself, and leave the box stuck.
            upload = gr.File(label="Your own clip", elem_id="upload", show_label=False, height=54, scale=0)
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

        everything: list[Component] = [token, mark, status, notice, explorer, upload]

        def arrive(key: str, example: str = "") -> Updates:
            kept = service.kept(key)
            return {
                token: key,
                mark: {"example": example},
                status: fragments.clip_facts(kept.analysis.clip),
                notice: "",
                explorer: explorer_value(kept.payload, key, example),
                upload: None,
            }

        def show_example(name: str) -> Iterator[Updates]:
            key = service.kept_example(name)
            if key is None:
                yield {notice: fragments.progress("Reading the clip and running the model")}
                key = service.open_example(name)
            yield arrive(key, name)

        def show_link(asked: str | None) -> Iterator[Updates]:
            if not service.examples:
                yield {notice: fragments.failure("There are no example clips here; add a clip of your own.")}
                return
            first = next(iter(service.examples))
            name = asked or first
            try:
                yield arrive(service.open_example(name), name)
            except UnknownExampleError:
                sentence = f"There is no example {name!r} here, so this is the first one."
                yield arrive(service.open_example(first), first) | {notice: fragments.failure(sentence)}

        def show_upload(path: str) -> Iterator[Updates]:
            yield {notice: fragments.progress("Reading the clip"), upload: None}
            read = service.read(path)  # the file goes with the next sweep: another visitor may have sent the same one
            yield {notice: fragments.progress("Running the model")}
            yield arrive(service.analyze(*read))

        @visit.guard
        def open_link(wishes: Wishes, made: float, request: gr.Request) -> Iterator[Updates]:
            yield from wishes.serve(made, show_link(request.query_params.get("example")))

        @visit.guard
        def open_example(wishes: Wishes, made: float, event: gr.SelectData) -> Iterator[Updates]:
            yield from wishes.serve(made, show_example(str(event.value)))

        @visit.guard
        def open_upload(path: str | None, wishes: Wishes, made: float) -> Iterator[Updates]:
            if path is not None:
                yield from wishes.serve(made, show_upload(path))

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
            page.load(open_link, [wishes, made], everything, **WISH, **EXAMPLES_QUEUE, **QUIET),
            shelf.select(open_example, [wishes, made], everything, **WISH, **EXAMPLES_QUEUE, **QUIET),
            upload.upload(open_upload, [upload, wishes, made], everything, **WISH, **MODEL_QUEUE, **QUIET),
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
