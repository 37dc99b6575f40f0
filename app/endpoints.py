"""The named API, with plain arguments and JSON answers, for the page, gradio_client or plain HTTP.

`predict`, `explain` and `timeline` are about a file or an example; the questions of the page are about a clip that it
has opened.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api

from app.questions import Questions
from app.service import Service
from app.uploads import only_uploads
from sifa_core import SifaError
from sifa_core.errors import QueryError
from sifa_core.explain.analysis import Target
from sifa_core.explain.render.numbers import describe
from sifa_core.inference import predict as predict_clips
from sifa_core.inference import public_predictions, video_clips

log = logging.getLogger("app")

Answer = dict[str, Any]
Endpoint = Callable[..., Answer]

MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
"""One at a time of those that need the model."""
EXAMPLES_QUEUE: dict[str, Any] = {"concurrency_id": "examples", "concurrency_limit": 8}
"""Examples are analysed ahead: whoever opens one need not wait for the uploads of others."""
READING_QUEUE: dict[str, Any] = {"concurrency_id": "charts", "concurrency_limit": 4}
"""Questions that are answered from what is there already need not wait for the model."""
TIMELINE_QUEUE: dict[str, Any] = {"concurrency_id": "timelines", "concurrency_limit": 2}
"""Not the model's: between two windows of a timeline others have their turn."""
QUEUES = {
    "open_example": EXAMPLES_QUEUE,
    "whole_video": TIMELINE_QUEUE,
    **dict.fromkeys(("layer", "charts", "distributions", "costs"), READING_QUEUE),
}
"""Where questions wait that do not wait for the model."""


class FileQuestions:
    """What can be asked about a file, or an example, without opening it on the page."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def predict(self, clip: str | None = None, example: str = "", top: float = 5) -> Answer:
        """What the model thinks a whole video shows, the mean over clips spread over it: the `top` most probable
        classes, or null while it is untrained."""
        _check_source(clip, example)
        best, service = _top(top), self._service
        clips = video_clips(service.model, self._path(clip, example), readers=service.readers)
        info, source = service.model.info, clips[0].source
        with service.model_lock:
            found = predict_clips(service.model, *clips)[:best]
        return {
            "model": {"name": info.name, "status": info.status, "sha256": info.sha256},
            "clip": {"name": source.name, "sha256": source.sha256},
            "predictions": public_predictions(info, found),
        }

    def explain(
        self,
        clip: str | None = None,
        example: str = "",
        frame: int | None = None,
        x: float | None = None,
        y: float | None = None,
        layer: str = "",
        levels: int | None = None,
        target: str = "",
        against: str = "",
        method: str = "",
        evidence_layer: str = "",
        start: int | None = None,
        stride: int | None = None,
    ) -> Answer:
        """The numbers behind Figure 5 of one query: points, weights, maps, statistics. What is left out is chosen.

        Classes are given by label or number; `start` and `stride` choose the moment, as `read_clip` does."""
        _check_source(clip, example)
        service = self._service
        if example and start is None and stride is None:
            analysis = service.analysis(service.open_example(example))
        else:
            analysis = service.analyze_once(self._path(clip, example), _whole(start), _whole(stride))
        with service.model_lock:
            selection = analysis.select(
                _query(frame, x, y),
                layer or None,
                levels,
                _class(target),
                against=_class(against),
                method=method or None,
                evidence_layer=evidence_layer or None,
            )
            return describe(analysis, selection)

    def timeline(self, clip: str | None = None, example: str = "", top: float = 5) -> Answer:
        """What the model thinks of a whole video moment by moment, with the movement of every frame and the `start` and
        `stride` that `explain` takes for each moment."""
        _check_source(clip, example)
        best, service = _top(top), self._service
        found = service.timeline(service.open_example(example)) if example else service.timeline_once(str(clip))
        return found.to_dict(best, service.model.info.is_trained)

    def _path(self, clip: str | None, example: str) -> Path | str:
        return self._service.example(example).path if example else str(clip)


def add_endpoints(service: Service) -> None:
    """Add the methods of `FileQuestions` by their names to the page that is being built."""
    questions = FileQuestions(service)
    _listen(
        _plain_errors(questions.predict),
        _plain_errors(questions.explain),
        _plain_errors(questions.timeline),
        **MODEL_QUEUE,
    )


def add_questions(service: Service) -> None:
    """Add the methods of `Questions` by their names to the page that is being built."""
    questions = Questions(service)
    for name, method in inspect.getmembers(questions, inspect.ismethod):
        if name.startswith("_") or name == "open_clip":
            continue
        safe: Callable[..., Any] = _plain_answers if inspect.isgeneratorfunction(method) else _plain_errors
        gr.api(safe(method), api_name=name, **QUEUES.get(name, MODEL_QUEUE))
    _listen_to_uploads(_plain_answers(questions.open_clip), **MODEL_QUEUE)


def _listen_to_uploads(open_clip: Callable[..., Iterator[Answer]], **queue: Any) -> None:
    """Name the endpoint that takes a file. Like those of `gr.api`, it leaves nothing of its answers with Gradio, which
    keeps the last value of every component for each of thousands of sessions where it prepares them itself."""
    clip = gr.File(label="clip", visible=False)
    only_uploads(clip)
    answer = Api(None, {"type": "object"}, "answer")
    gr.Button(visible=False).click(open_clip, clip, answer, api_name="open_clip", postprocess=False, **queue)


def _listen(predict: Endpoint, explain: Endpoint, timeline: Endpoint, **queue: Any) -> None:
    """Name the endpoints, with a hidden component for each argument."""
    answer = gr.JSON(visible=False)
    clip = gr.File(label="clip", visible=False)
    only_uploads(clip)
    example, layer, *evidence = (
        gr.Textbox("", label=name, visible=False)
        for name in ("example", "layer", "target", "against", "method", "evidence_layer")
    )
    top = gr.Number(5, label="top", visible=False)
    frame, x, y, levels, start, stride = (
        gr.Number(label=name, visible=False) for name in ("frame", "x", "y", "levels", "start", "stride")
    )
    for box in (example, layer):
        as_sent(box)
    trigger = gr.Button(visible=False)
    trigger.click(predict, [clip, example, top], answer, api_name="predict", **queue)
    asked = [clip, example, frame, x, y, layer, levels, *evidence, start, stride]
    trigger.click(explain, asked, answer, api_name="explain", **queue)
    trigger.click(timeline, [clip, example, top], answer, api_name="timeline", **queue)


def _check_source(clip: str | None, example: str) -> None:
    if bool(clip) == bool(example):
        raise QueryError("Give either a clip or the name of an example.")


def _top(top: float) -> int:
    if not top >= 1:
        raise QueryError(f"top={top!r} is not possible; it is a whole number of at least 1.")
    return int(top)


def _whole(value: int | None) -> int | None:
    return None if value is None else int(value)


def _class(text: str) -> Target:
    return int(text) if text.isdecimal() else text or None


def _query(frame: int | None, x: float | None, y: float | None) -> tuple[int, float, float] | None:
    if frame is None and x is None and y is None:
        return None
    if frame is None or x is None or y is None:
        raise QueryError("Give all of frame, x and y, or none of them.")
    return frame, x, y


def as_sent(box: gr.Textbox) -> None:
    """Have the component hand on what a caller has sent, which it would turn into a text otherwise, whatever it is."""
    setattr(box, "preprocess", lambda payload: payload)  # noqa: B010 - a method on an instance


KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list[str]: "a list of texts",
    type(None): "null",
}
"""What an argument may be, in words."""


def check_kinds(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Raise QueryError for the first argument that is not of the kind that the function's annotations say. A whole
    number is a number, and may come as 2.0; true and false are neither."""
    kinds = typing.get_type_hints(function)
    for name, value in inspect.signature(function).bind(*arguments).arguments.items():
        kind = kinds[name]
        allowed = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
        if not any(_is_a(value, each) for each in allowed):
            words = " or ".join(KINDS[each] for each in allowed)
            raise QueryError(f"{name}={_short(value)} is not possible; it is {words}.")


def _is_a(value: Any, kind: type) -> bool:
    if kind in (int, float):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (kind is float or value == int(value))
    if typing.get_origin(kind) is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, kind)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain_errors(endpoint: Endpoint) -> Endpoint:
    """Errors as one sentence, without a traceback on either side."""

    @functools.wraps(endpoint)
    def safe(*arguments: Any) -> Answer:
        with _telling_errors(endpoint):
            check_kinds(endpoint, arguments)
            return endpoint(*arguments)

    return safe


def _plain_answers(endpoint: Callable[..., Iterator[Answer]]) -> Callable[..., Iterator[Answer]]:
    """The same of an endpoint with several answers."""

    @functools.wraps(endpoint)
    def safe(*arguments: Any) -> Iterator[Answer]:
        with _telling_errors(endpoint):
            check_kinds(endpoint, arguments)
            yield from endpoint(*arguments)

    return safe


@contextlib.contextmanager
def _telling_errors(endpoint: Callable[..., Any]) -> Iterator[None]:
    try:
        yield
    except SifaError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        log.exception("%s failed", endpoint.__name__)
        raise gr.Error("Something went wrong on the server.", print_exception=False) from error
