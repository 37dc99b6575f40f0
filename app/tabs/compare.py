"""The Compare tab: two models, or two layers of one, on the same clip, side by side with linked cursors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import fragments
from app.bundle import part
from app.models import MAIN, REGULAR
from app.page_context import LAST_EVENT, MODEL_QUEUE, QUIET, PageContext, Updates
from sifa_core import SifaError
from sifa_core.errors import QueryError
from sifa_core.explain.render.payload import light_payload

TEMPLATE = """
<div class="compare">
  <p class="hint">Both sides look at the same place: hover, pin, step or play on either.
  <span class="keys">Overlays are those of Explore, and have the same keys here.</span></p>
  <div class="sides"></div>
  <div class="sheet"><h2>Predictions</h2><div class="predictions"></div></div>
</div>
"""
START = (MAIN, REGULAR)
"""What is compared first: the model with and without its offsets."""
SHOWN = 5
"""Most probable classes of each side that the table holds."""

Predictions = list[dict[str, Any]]
"""See `public_predictions`."""

SHOWN_MODELS_JS = """
(token) => {
  const {shown = '', sent = ''} = document.querySelector('#compare .compare')?.dataset ?? {};
  const isOpen = document.querySelector('#tab-compare-button')?.getAttribute('aria-selected') === 'true';
  const wanted = document.querySelector('#compare .compare')?.wanted ?? null;
  return [token, {shown: shown.split(' '), sent: sent.split(' '), wanted, is_open: isOpen}];
}
"""
"""Browser's side: clip and models shown, payloads that are there, models asked for, whether the tab is open."""


def build(context: PageContext, tab: gr.Tab) -> None:
    """Fill the tab."""
    service = context.service
    compare = gr.HTML(
        {}, html_template=TEMPLATE, js_on_load=part("compare"), apply_default_css=False, elem_id="compare"
    )

    def show(token: str, keys: tuple[str, str], there: dict[str, Any]) -> Iterator[Updates]:
        yield {context.notice: fragments.progress("Running the models on the clip")}
        views = [service.model_view(token, key) for key in keys]
        sent = there.get("sent", []) if same_clip(there, views[0].clip) else []
        value = {
            "clip": views[0].clip,
            "models": [{"key": key, "title": title} for key, title in service.models.titles.items()],
            "sides": list(keys),
            "asked": there.get("wanted"),
            "payloads": {
                key: light_payload(view.payload) for key, view in zip(keys, views, strict=True) if key not in sent
            },
            "rows": prediction_rows(*(view.predictions for view in views)),
        }
        yield {compare: value, context.notice: ""}

    def answer(token: str, there: dict[str, Any]) -> Iterator[Updates]:
        shown = shown_keys(there, service.models.titles)
        wanted = wanted_keys(there) or shown
        try:
            yield from show(token, wanted, there)
        except SifaError:
            if wanted != shown:  # the choice goes back to what is shown
                yield from show(token, shown, there)
            raise

    @context.guard
    def opened(token: str, there: Any) -> Iterator[Updates]:
        there = there if isinstance(there, dict) else {}
        if token and not same_clip(there, service.analysis(token).clip.sha256):
            yield from answer(token, there)

    @context.guard
    def another_clip(token: str, there: Any) -> Iterator[Updates]:
        there = there if isinstance(there, dict) else {}
        if token and there.get("is_open") is True:
            yield from answer(token, there)

    @context.guard
    def choose(token: str, there: Any) -> Iterator[Updates]:
        yield from answer(token, there if isinstance(there, dict) else {})

    inputs = [context.token, context.choice]
    for event in (
        tab.select(opened, inputs, [compare, context.notice], js=SHOWN_MODELS_JS, **MODEL_QUEUE, **QUIET),
        context.token.change(
            another_clip, inputs, [compare, context.notice], js=SHOWN_MODELS_JS, **MODEL_QUEUE, **QUIET
        ),
        compare.select(
            choose, inputs, [compare, context.notice], js=SHOWN_MODELS_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET
        ),
    ):
        context.forget(event, compare)


def same_clip(there: dict[str, Any], clip: str) -> bool:
    """Whether the browser shows this clip already."""
    shown = there.get("shown")
    return isinstance(shown, list) and shown[:1] == [clip]


def shown_keys(there: dict[str, Any], known: dict[str, str]) -> tuple[str, str]:
    """The models that the browser shows, or those to begin with."""
    shown = there.get("shown")
    keys = shown[1:] if isinstance(shown, list) else []
    return (keys[0], keys[1]) if len(keys) == len(START) and all(key in known for key in keys) else START


def wanted_keys(there: dict[str, Any]) -> tuple[str, str] | None:
    """The models that were chosen in the browser and are not shown yet, known or not; None without such a choice.

    Raises QueryError for what is no choice.
    """
    keys = there.get("wanted")
    if keys is None:
        return None
    if not isinstance(keys, list) or len(keys) != len(START) or not all(isinstance(key, str) for key in keys):
        raise QueryError("Choose a model for each side.")
    return keys[0], keys[1]


def prediction_rows(one: Predictions | None, other: Predictions | None) -> list[dict[str, Any]] | None:
    """The most probable classes of both, with their probabilities and the difference; None without training."""
    if one is None or other is None:
        return None
    found = [{row["label"]: row["probability"] for row in rows} for rows in (one, other)]
    rows = []
    for label in dict.fromkeys(row["label"] for row in one[:SHOWN] + other[:SHOWN]):
        first, second = values = [probabilities.get(label) for probabilities in found]
        difference = None if first is None or second is None else second - first
        rows.append({"label": label, "values": values, "difference": difference})
    return sorted(rows, key=lambda row: -max(value or 0.0 for value in row["values"]))
