"""The one page: what is on it, and where.

All of it but the tab About is filled by the front end (web/), which asks the named endpoints of `app.questions`.
Analyses stay on the server; the browser holds the token of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.bundle import host, program
from app.charts import FAITHFULNESS_TITLES, QUERY_CHARTS
from app.downloads import BUTTON_TEXTS
from app.endpoints import add_endpoints, add_questions
from app.examples import gallery
from app.service import Service
from app.tabs import about
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


def build_page(service: Service) -> gr.Blocks:
    """The page over a service, ready to be launched."""
    info = service.model.info
    examples = gallery(service.examples.values())
    with gr.Blocks(title="SIFA Explorer", analytics_enabled=False) as page:
        host("masthead", masthead_value(info, [(FIRST, "Explore"), *TABS.items()]), elem_id="masthead")
        host("sources", examples, elem_id="sources")
        with gr.Row(elem_id="line"):
            host("status", elem_id="status")
            host("notice", elem_id="notice")
            host("downloads", list(BUTTON_TEXTS.items()), elem_id="saves")
        with gr.Tabs(selected=FIRST, elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab("Explore", id=FIRST, elem_id=f"tab-{FIRST}", render_children=True):
                names = [each["name"] for each in examples]
                host("explorer", names, before=program(), apply_default_css=False, elem_id="explorer")
                host("wholeVideo", elem_id="whole-video")
                host("faithfulness", faithfulness_value(), elem_id="believe")
                host("charts", charts_of(info), elem_id="charts")
            for name, title in TABS.items():
                with gr.Tab(title, id=name, elem_id=f"tab-{name}"):
                    if name == "about":
                        about.build(service.model)
                    else:
                        host(name, apply_default_css=name == "offsets", elem_id=name, padding=False)
        add_endpoints(service)
        add_questions(service)
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
