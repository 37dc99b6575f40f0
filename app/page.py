"""The one page: what is on it, where, and what happens when it is touched.

The queue runs one handler at a time of those that need the model. Analyses stay on the server; the browser's session
holds nothing but the token of its own. What is shown of an analysis is the viewer's business alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app import charts_panel, faithfulness_panel, fragments, whole_video_panel
from app.downloads import BUTTON_TEXTS, KINDS, build_download, pack
from app.endpoints import add_endpoints
from app.examples import build_gallery, build_highlight, remark
from app.explorer import VIEWER_CHOICE_JS, build_explorer, explorer_value, selection_of
from app.latest_request import REQUEST_TIME_JS, LatestRequest
from app.page_context import MODEL_QUEUE, QUIET, PageContext, Updates
from app.service import Service, UnknownExampleError
from app.tab_bar import FIRST, TAB_BAR_JS, tab_bar
from app.tabs import TABS
from app.uploads import only_uploads
from app.whole_video_panel import WholeVideoPanel, chosen_window
from sifa_core.errors import ClipError

EXAMPLES_QUEUE: dict[str, Any] = {"concurrency_id": "examples", "concurrency_limit": 8}
"""Examples are analysed ahead: whoever opens one need not wait for the uploads of others."""
OPENING: dict[str, Any] = {"js": REQUEST_TIME_JS, "trigger_mode": "multiple"}
"""Whatever a visitor asks to open is begun at once, beside what was asked for before: `LatestRequest` sees to it that
the last one is shown. (In Gradio, an event that cancels others does so when it is itself over.)"""


@dataclass(frozen=True)
class ClipOpener:
    """Opens the clips that a visitor asks for; every method gives the updates of the components below."""

    context: PageContext
    status: gr.HTML
    explorer: gr.HTML
    upload: gr.File
    highlight: gr.HTML

    @property
    def outputs(self) -> list[Component]:
        """All components that are updated."""
        return [self.context.token, self.highlight, self.status, self.context.notice, self.explorer, self.upload]

    def show(self, key: str) -> Updates:
        """The analysis of a token, on the whole page."""
        entry = self.context.service.entry(key)
        example = entry.video.example if entry.video else ""
        return {
            self.context.token: key,
            self.highlight: {"example": example},
            self.status: fragments.clip_facts(
                entry.analysis.clip, remark(example, entry.analysis.info, entry.analysis.predictions)
            ),
            self.context.notice: "",
            self.explorer: explorer_value(entry, key),
            self.upload: None,
        }

    def open_example(self, name: str) -> Iterator[Updates]:
        """An example clip; raises UnknownExampleError."""
        service = self.context.service
        key = service.cached_example(name)
        if key is None:
            yield {self.context.notice: fragments.progress("Reading the clip and running the model")}
            key = service.open_example(name)
        yield self.show(key)

    def open_window(self, key: str, second: Any, stride: Any) -> Iterator[Updates]:
        """Another window of the video that is shown."""
        service, entry = self.context.service, self.context.service.entry(key)
        times = entry.analysis.clip.timestamps if entry.video is None else entry.video.course.timestamps
        start, step = chosen_window(times, second, stride)
        yield {self.context.notice: fragments.progress("Reading this moment and running the model")}
        yield self.show(service.window(key, start, step))

    def open_link(self, asked: str | None, start: str | None = None, stride: str | None = None) -> Iterator[Updates]:
        """The example that the address names, or the first one; at the window that it names, if any."""
        service, notice = self.context.service, self.context.notice
        if not service.examples:
            yield {notice: fragments.failure("There are no example clips here; add a clip of your own.")}
            return
        first = next(iter(service.examples))
        name = asked or first
        try:
            key = service.open_example(name)
            if asked and start and stride and start.isdecimal() and stride.isdecimal():
                with contextlib.suppress(ClipError):  # then there is no such window: the one that was chosen is shown
                    key = service.window(key, int(start), int(stride))
            yield self.show(key)
        except UnknownExampleError:
            sentence = f"There is no example {name!r} here, so this is the first one."
            yield self.show(service.open_example(first)) | {notice: fragments.failure(sentence)}

    def open_upload(self, path: str) -> Iterator[Updates]:
        """A visitor's own clip."""
        service, notice = self.context.service, self.context.notice
        yield {notice: fragments.progress("Reading the clip"), self.upload: None}
        read = service.read(path)
        yield {notice: fragments.progress("Running the model")}
        yield self.show(service.analyze_video(path, read))


def build_page(service: Service) -> gr.Blocks:
    """The page over a service, ready to be launched."""
    with gr.Blocks(title="SIFA Explorer", analytics_enabled=False) as page:
        token = gr.State("")
        choice = gr.JSON(visible=False)
        bar = tab_bar([(FIRST, "Explore"), *((entry.id, entry.title) for entry in TABS)])
        gr.HTML(fragments.header(service.model.info, bar), js_on_load=TAB_BAR_JS, elem_id="masthead")
        with gr.Row(elem_id="sources"):
            gallery = build_gallery(service.examples.values())
            # Any ending: the content decides, and what cannot be read is refused in one sentence on the page. A browser
            # that was told which types to expect would refuse .mts and others by itself, and leave the box stuck.
            upload = gr.File(label="Your own clip", elem_id="upload", show_label=False, height=54, scale=0)
        only_uploads(upload)
        with gr.Row(elem_id="line"):
            status = gr.HTML(elem_id="status")
            notice = gr.HTML(fragments.progress("Opening"), elem_id="notice")
            with gr.Row(elem_id="saves"):
                buttons = {
                    kind: gr.Button(BUTTON_TEXTS[kind], elem_id=f"save-{kind}", size="sm", min_width=0, scale=0)
                    for kind in KINDS
                }
        with gr.Tabs(selected=FIRST, elem_id="tabs", overflow_behavior="wrap") as tabs:
            context = PageContext(service, token, choice, notice, tabs)
            with gr.Tab("Explore", id=FIRST, elem_id=f"tab-{FIRST}", render_children=True):
                explorer = build_explorer(service)
                whole_video = whole_video_panel.build(context)
                faithfulness_panel.build(context)
                charts_panel.build(context)
            for entry in TABS:
                with gr.Tab(entry.title, id=entry.id, elem_id=f"tab-{entry.id}") as space:
                    entry.build(context, space)
        opener = ClipOpener(context, status, explorer, upload, build_highlight())
        _listen_to_openings(page, gallery, whole_video, opener)
        _listen_to_downloads(context, buttons)
        add_endpoints(service, **MODEL_QUEUE)
    return page


def _listen_to_openings(page: gr.Blocks, gallery: gr.HTML, whole_video: WholeVideoPanel, opener: ClipOpener) -> None:
    context = opener.context
    requests: list[Any] = [gr.State(LatestRequest()), gr.Number(visible=False)]

    @context.guard
    def open_link(latest: LatestRequest, made: float, request: gr.Request) -> Iterator[Updates]:
        asked = (request.query_params.get(name) for name in ("example", "start", "stride"))
        yield from latest.serve(made, opener.open_link(*asked))

    @context.guard
    def open_example(latest: LatestRequest, made: float, event: gr.SelectData) -> Iterator[Updates]:
        yield from latest.serve(made, opener.open_example(str(event.value)))

    @context.guard
    def open_upload(path: str | None, latest: LatestRequest, made: float) -> Iterator[Updates]:
        if path is not None:
            yield from latest.serve(made, opener.open_upload(path))

    @context.guard
    def open_window(key: str, second: Any, stride: Any, latest: LatestRequest, made: float) -> Iterator[Updates]:
        yield from latest.serve(made, opener.open_window(key, second, stride))

    uploaded = [opener.upload, *requests]
    window: list[Any] = [context.token, whole_video.start, whole_video.stride, *requests]
    for event in (
        page.load(open_link, requests, opener.outputs, **OPENING, **EXAMPLES_QUEUE, **QUIET),
        gallery.select(open_example, requests, opener.outputs, **OPENING, **EXAMPLES_QUEUE, **QUIET),
        whole_video.show.click(open_window, window, opener.outputs, **OPENING, **MODEL_QUEUE, **QUIET),
        opener.upload.upload(open_upload, uploaded, opener.outputs, **OPENING, **MODEL_QUEUE, **QUIET),
    ):
        context.forget(event, opener.explorer)


def _listen_to_downloads(context: PageContext, buttons: Mapping[str, gr.Button]) -> None:
    service, notice, download = context.service, context.notice, build_download()

    def handler(kind: str) -> Callable[..., Iterator[Updates]]:
        @context.guard
        def save(key: str, chosen: Any) -> Iterator[Updates]:
            analysis = service.analysis(key)
            selection = selection_of(analysis, chosen)
            yield {notice: fragments.progress(f"Writing the {kind.upper()} file")}
            with service.model_lock:
                file = pack(analysis, selection, kind)
            yield {download: file, notice: ""}

        return save

    inputs: list[Any] = [context.token, context.choice]
    for kind, button in buttons.items():
        saved = button.click(handler(kind), inputs, [download, notice], js=VIEWER_CHOICE_JS, **MODEL_QUEUE, **QUIET)
        context.forget(saved, download)
