"""The one page: what is on it, where, and what happens when it is touched.

The queue runs one handler at a time of those that need the model. Analyses stay on the server; the browser's session
holds nothing but the token of its own.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from app import fragments
from app.downloads import KINDS, build_courier, pack
from app.endpoints import add_endpoints
from app.explore import Explore
from app.service import Service
from app.shelf import build_mark, build_shelf
from app.uploads import only_uploads
from sifa_core import SifaError

MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
UNEXPECTED = "Something went wrong here, not with what you did; please try again or choose another clip."
FILE_TYPES = ["video", ".mkv", ".avi", ".mov", ".webm", ".gif", ".m4v"]

log = logging.getLogger("app")

Updates = dict[Component, Any]


def build_page(service: Service) -> gr.Blocks:
    """The page over a service, ready to be launched."""
    with gr.Blocks(title="SIFA Explorer", analytics_enabled=False) as page:
        token = gr.State("")
        gr.HTML(fragments.header(service.model.info), elem_id="masthead")
        with gr.Row(elem_id="sources"):
            shelf = build_shelf(service.examples.values())
            upload = gr.File(
                label="Your own clip", file_types=FILE_TYPES, elem_id="upload", show_label=False, height=118, scale=0
            )
        only_uploads(upload)
        status = gr.HTML(fragments.progress("Opening"), elem_id="status")
        explore = Explore()
        with gr.Row(elem_id="middle"):
            with gr.Column(scale=3, elem_id="stage"):
                explore.build_stage()
            with gr.Column(scale=1, min_width=280, elem_id="side"):
                predictions = gr.HTML(elem_id="predictions")
                explore.build_controls()
                gr.HTML("<h2>Take away</h2>")
                with gr.Row(elem_id="downloads"):
                    buttons = {
                        kind: gr.Button(kind.upper(), elem_id=f"save-{kind}", size="sm", min_width=70) for kind in KINDS
                    }
        statistics = gr.HTML(elem_id="statistics")
        courier, mark = build_courier(), build_mark()

        everything: list[Component] = [token, mark, status, predictions, statistics, *explore.outputs]
        guard = functools.partial(_guarded, status)

        def arrive(key: str, example: str = "") -> Updates:
            analysis = service.analysis(key)
            with service.model_lock:
                selection, updates = explore.open(analysis)
            return updates | {
                token: key,
                mark: {"example": example},
                status: fragments.clip_facts(analysis.clip),
                predictions: fragments.predictions(analysis),
                statistics: fragments.statistics(analysis, selection.layer),
            }

        @guard
        def open_example(event: gr.SelectData) -> Iterator[Updates]:
            name = str(event.value)
            key = service.kept_example(name)
            if key is None:
                yield {status: fragments.progress("Reading the clip and running the model")}
                key = service.open_example(name)
            yield {status: fragments.progress("Drawing Figure 5")}
            yield arrive(key, name)

        @guard
        def open_first() -> Iterator[Updates]:
            if not service.examples:
                yield {status: fragments.failure("There are no example clips here; add a clip of your own.")}
                return
            name = next(iter(service.examples))
            yield arrive(service.open_example(name), name)

        @guard
        def open_upload(path: str | None) -> Iterator[Updates]:
            if path is None:
                return
            yield {status: fragments.progress("Reading the clip"), upload: None}
            clip = service.read(path)  # the file goes with the next sweep: another visitor may have sent the same one
            yield {status: fragments.progress("Running the model")}
            key = service.analyze(clip)
            yield {status: fragments.progress("Drawing Figure 5")}
            yield arrive(key)

        @guard
        def ask(key: str, *choice: Any) -> Iterator[Updates]:
            analysis = service.analysis(key)
            selection = explore.choose(analysis, *choice)
            if selection is None:
                return
            with service.model_lock:
                updates = explore.show(analysis, selection)
            yield updates | {
                status: fragments.clip_facts(analysis.clip),
                statistics: fragments.statistics(analysis, selection.layer),
            }

        def download(kind: str) -> Callable[..., Iterator[Updates]]:
            @guard
            def save(key: str, *choice: Any) -> Iterator[Updates]:
                analysis = service.analysis(key)
                selection = explore.choose(analysis, *choice) or analysis.select()
                yield {status: fragments.progress(f"Writing the {kind.upper()} file")}
                with service.model_lock:
                    file = pack(analysis, selection, kind)
                yield {courier: file, status: fragments.clip_facts(analysis.clip)}

            return save

        page.load(open_first, None, everything, **MODEL_QUEUE, **QUIET)
        shelf.select(open_example, None, everything, **MODEL_QUEUE, **QUIET)
        upload.upload(open_upload, upload, [*everything, upload], **MODEL_QUEUE, **QUIET)
        explore.listen(ask, [token, *explore.inputs], [status, statistics, *explore.outputs], **MODEL_QUEUE, **QUIET)
        for kind, button in buttons.items():
            button.click(download(kind), [token, *explore.inputs], [courier, status], **MODEL_QUEUE, **QUIET)
        add_endpoints(service, **MODEL_QUEUE)
    return page


def _guarded(status: Component, handler: Callable[..., Iterator[Updates]]) -> Callable[..., Iterator[Updates]]:
    """The handler with its errors told in `status`: the page keeps whatever it was showing."""

    @functools.wraps(handler)
    def safe(*arguments: Any) -> Iterator[Updates]:
        try:
            yield from handler(*arguments)
        except SifaError as error:
            yield {status: fragments.failure(str(error))}
        except Exception:
            log.exception("%s failed", handler.__name__)
            yield {status: fragments.failure(UNEXPECTED)}

    return safe
