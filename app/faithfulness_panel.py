"""Can this picture be believed? The picture of class evidence that the viewer shows, put to the test below it.

The test runs when it is asked for. What it says names class, method and stage, so that it is true of no other picture,
and it goes when another clip is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from app import charts, fragments
from app.background import BackgroundWork
from app.explorer import VIEWER_CHOICE_JS, evidence_of
from app.page_context import LAST_EVENT, MODEL_QUEUE, QUIET, PageContext, ShownClip, Updates
from sifa_core import Analysis
from sifa_core.explain.class_evidence import METHOD_WORDS
from sifa_core.explain.studies.faithfulness import Faithfulness

QUESTION = "Can I believe this picture?"
EXPLANATION = (
    "A picture of class evidence is a claim about the network. The test holds the places that it names still and sees "
    "whether the class loses probability, lets nothing but them move, draws the network's weights at random, and asks "
    "for another class. It takes a few seconds."
)
BUTTON = "Test the class evidence"


def build(context: PageContext) -> None:
    """Add the panel where the page is being built."""
    with gr.Accordion(QUESTION, open=False, elem_id="believe"):
        gr.HTML(f"<p>{EXPLANATION}</p>", elem_classes="about")
        start = gr.Button(BUTTON, elem_id="believe-start", size="sm", min_width=0, scale=0)
        verdict = gr.HTML(elem_id="believe-verdict")
        with gr.Row(visible=False, elem_classes="believe-charts") as row:
            plots = {
                name: gr.Plot(show_label=False, label=title, elem_classes="chart", elem_id=f"believe-{name}")
                for name, title in charts.FAITHFULNESS_TITLES.items()
            }
    shown = gr.State(ShownClip())
    hide: Updates = {row: gr.Row(visible=False)}

    @context.guard
    def forget(token: str, shown: ShownClip) -> Iterator[Updates]:
        shown.token = token
        yield {verdict: "", **hide}

    @context.guard
    def test(token: str, chosen: Any, shown: ShownClip) -> Iterator[Updates]:
        if not token:
            return
        shown.token = token
        yield {verdict: fragments.progress("Waiting for the model"), context.notice: "", **hide}
        try:
            asked = evidence_of(chosen)
            work = BackgroundWork(lambda tell: context.service.faithfulness(token, asked, tell))
            for done, step in work:
                if shown.token != token:  # another clip is there meanwhile
                    yield {verdict: gr.skip()}  # Gradio shows the last update once more when a handler ends
                    return
                yield {verdict: fragments.progress(f"{step}, {done:.0%} done")}
            found = work.result()
        except Exception:
            yield {verdict: ""}
            raise
        if shown.token != token:
            yield {verdict: gr.skip()}
            return
        yield {
            verdict: verdict_html(context.service.analysis(token), found),
            row: gr.Row(visible=True),
            **{plots[name]: charts.faithfulness_chart(found, name) for name in plots},
        }

    outputs = [verdict, row, *plots.values(), context.notice]
    inputs: list[Any] = [context.token, context.choice, shown]
    context.token.change(forget, [context.token, shown], [verdict, row, context.notice], queue=False, **QUIET)
    tested = start.click(test, inputs, outputs, js=VIEWER_CHOICE_JS, **LAST_EVENT, **MODEL_QUEUE, **QUIET)
    context.forget(tested, *plots.values())


def verdict_html(analysis: Analysis, found: Faithfulness) -> str:
    """Headline, sentences, and what was tested."""
    headline, *sentences = map(escape, found.verdict)
    labels = analysis.info.labels
    against = "" if found.against is None else f" rather than “{labels[found.against]}”"
    tested = f"Tested: “{labels[found.target]}”{against}, {found.method.replace('_', ' ')} in {found.layer}. "
    return (
        f'<div class="verdict {"fine" if found.faithful else "warn"}" role="status">'
        f"<p><b>{headline}</b></p><ul>{''.join(f'<li>{sentence}</li>' for sentence in sentences)}</ul>"
        f'<p class="about"><bdi>{escape(tested)}</bdi>{escape(METHOD_WORDS[found.method])}.</p></div>'
    )
