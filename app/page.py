"""The one page: what is on it, where, and what happens when it is touched.

The parts of the page are filled by the front end (web/), which asks the named endpoints of `app.questions`. The queue
runs one handler at a time of those that need the model. Analyses stay on the server; the browser holds the token of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app import fragments
from app.bundle import host
from app.charts import FAITHFULNESS_TITLES, QUERY_CHARTS
from app.downloads import BUTTON_TEXTS
from app.endpoints import add_endpoints, add_questions
from app.examples import build_gallery, build_highlight, remark
from app.explorer import build_explorer, explorer_value
from app.latest_request import REQUEST_TIME_JS, LatestRequest
from app.page_context import MODEL_QUEUE, QUIET, PageContext, Updates
from app.service import Service, UnknownExampleError
from app.tabs import about
from app.uploads import only_uploads
from sifa_core.models import ModelInfo

FIRST = "explore"
"""The tab that the page opens with, and that the address therefore need not name."""
TABS = {"offsets": "Offsets", "compare": "Compare", "learn": "Learn", "about": "About"}
"""The tabs beside it: id in links, and title."""
BADGES = {
    "demo": ("demo", "The weights that come with this program"),
    "own": ("own", "Weights of your own"),
    "untrained": ("untrained – predictions hidden", "Random weights: there is nothing to predict with"),
}
"""What the first line says of a model by its status, and what that means."""

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
        return [self.highlight, self.status, self.context.notice, self.explorer, self.upload]

    def show(self, key: str, example: str = "") -> Updates:
        """The analysis of a token, on the whole page."""
        entry = self.context.service.entry(key)
        return {
            self.highlight: {"example": example},
            self.status: fragments.clip_facts(
                entry.analysis.clip, remark(example, entry.analysis.info, entry.analysis.predictions)
            ),
            self.context.notice: {},
            self.explorer: explorer_value(entry.payload, key, example),
            self.upload: None,
        }

    def open_example(self, name: str) -> Iterator[Updates]:
        """An example clip; raises UnknownExampleError."""
        service = self.context.service
        key = service.cached_example(name)
        if key is None:
            yield {self.context.notice: fragments.progress("Reading the clip and running the model")}
            key = service.open_example(name)
        yield self.show(key, name)

    def open_link(self, asked: str | None) -> Iterator[Updates]:
        """The example that the address names, or the first one."""
        service, notice = self.context.service, self.context.notice
        if not service.examples:
            yield {notice: fragments.failure("There are no example clips here; add a clip of your own.")}
            return
        first = next(iter(service.examples))
        name = asked or first
        try:
            yield self.show(service.open_example(name), name)
        except UnknownExampleError:
            sentence = f"There is no example {name!r} here, so this is the first one."
            yield self.show(service.open_example(first), first) | {notice: fragments.failure(sentence)}

    def open_upload(self, path: str) -> Iterator[Updates]:
        """A visitor's own clip."""
        service, notice = self.context.service, self.context.notice
        yield {notice: fragments.progress("Reading the clip"), self.upload: None}
        read = service.read(path)  # the file goes with the next sweep: another visitor may have sent the same one
        yield {notice: fragments.progress("Running the model")}
        yield self.show(service.analyze(*read))


def build_page(service: Service) -> gr.Blocks:
    """The page over a service, ready to be launched."""
    info = service.model.info
    with gr.Blocks(title="SIFA Explorer", analytics_enabled=False) as page:
        host("masthead", masthead_value(info, [(FIRST, "Explore"), *TABS.items()]), elem_id="masthead")
        with gr.Row(elem_id="sources"):
            gallery = build_gallery(service.examples.values())
            # Any ending: the content decides, and what cannot be read is refused in one sentence on the page. A browser
            # that was told which types to expect would refuse .mts and others by itself, and leave the box stuck.
            upload = gr.File(label="Your own clip", elem_id="upload", show_label=False, height=54, scale=0)
        only_uploads(upload)
        with gr.Row(elem_id="line"):
            status = gr.HTML(elem_id="status")
            notice = host("notice", fragments.progress("Opening"), elem_id="notice")
            host("downloads", list(BUTTON_TEXTS.items()), elem_id="saves")
        with gr.Tabs(selected=FIRST, elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab("Explore", id=FIRST, elem_id=f"tab-{FIRST}", render_children=True):
                explorer = build_explorer()
                host("faithfulness", faithfulness_value(), elem_id="believe")
                host("charts", charts_of(info), elem_id="charts")
            for name, title in TABS.items():
                with gr.Tab(title, id=name, elem_id=f"tab-{name}"):
                    if name == "about":
                        about.build(service.model)
                    else:
                        host(name, apply_default_css=name == "offsets", elem_id=name, padding=False)
        context = PageContext(service, notice)
        _listen_to_openings(page, gallery, ClipOpener(context, status, explorer, upload, build_highlight()))
        add_endpoints(service, MODEL_QUEUE)
        add_questions(service, MODEL_QUEUE)
    return page


def masthead_value(info: ModelInfo, tabs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What the page's first line shows: tabs by id and title, the model and its badge."""
    badge, meaning = BADGES[info.status]
    return {"tabs": tabs, "model": info.name, "status": info.status, "badge": badge, "meaning": meaning}


def charts_of(info: ModelInfo) -> list[str]:
    """Names of the charts of a query; an untrained model has no predictions."""
    return [name for name in QUERY_CHARTS if info.is_trained or name != "predictions"]


def faithfulness_value() -> dict[str, Any]:
    """What the test of the class evidence says before it is run."""
    return {
        "question": "Can I believe this picture?",
        "explanation": "A picture of class evidence is a claim about the network. The test holds the places that it "
        "names still and sees whether the class loses probability, lets nothing but them move, draws the network's "
        "weights at random, and asks for another class. It takes a few seconds.",
        "button": "Test the class evidence",
        "charts": list(FAITHFULNESS_TITLES),
    }


def _listen_to_openings(page: gr.Blocks, gallery: gr.HTML, opener: ClipOpener) -> None:
    context = opener.context
    requests: list[Any] = [gr.State(LatestRequest()), gr.Number(visible=False)]

    @context.guard
    def open_link(latest: LatestRequest, made: float, request: gr.Request) -> Iterator[Updates]:
        yield from latest.serve(made, opener.open_link(request.query_params.get("example")))

    @context.guard
    def open_example(latest: LatestRequest, made: float, event: gr.SelectData) -> Iterator[Updates]:
        yield from latest.serve(made, opener.open_example(str(event.value)))

    @context.guard
    def open_upload(path: str | None, latest: LatestRequest, made: float) -> Iterator[Updates]:
        if path is not None:
            yield from latest.serve(made, opener.open_upload(path))

    uploaded = [opener.upload, *requests]
    for event in (
        page.load(open_link, requests, opener.outputs, **OPENING, **EXAMPLES_QUEUE, **QUIET),
        gallery.select(open_example, requests, opener.outputs, **OPENING, **EXAMPLES_QUEUE, **QUIET),
        opener.upload.upload(open_upload, uploaded, opener.outputs, **OPENING, **MODEL_QUEUE, **QUIET),
    ):
        context.forget(event, opener.explorer)
