"""Small pieces of HTML. Every text that comes from a file, a label or an error is escaped here.

The pieces go into `gr.HTML` as values, which are inserted as they are; never put them into a template.
"""

from __future__ import annotations

from html import escape

from sifa_core import Clip
from sifa_core.models import ModelInfo

BADGES = {
    "demo": ("demo", "The weights that come with this program"),
    "own": ("own", "Weights of your own"),
    "untrained": ("untrained – predictions hidden", "Random weights: there is nothing to predict with"),
}


def header(info: ModelInfo, bar: str) -> str:
    """Title, the bar of tabs (HTML), model and badge."""
    badge, meaning = BADGES[info.status]
    return (
        '<header class="masthead"><h1>SIFA Explorer</h1>'
        '<p class="claim">See where a video network looks in the next frame.</p>'
        f"{bar}"
        f'<p class="model"><code>{escape(info.name)}</code> '
        f'<span class="badge badge-{info.status}" title="{escape(meaning)}">{escape(badge)}</span></p></header>'
    )


def progress(step: str) -> str:
    """What is being done right now."""
    return f'<p class="line busy" role="status">{escape(step)} …</p>'


def failure(sentence: str) -> str:
    """An error, in place."""
    return f'<p class="line failure" role="alert">{escape(sentence)}</p>'


def clip_facts(clip: Clip, remark: str = "") -> str:
    """What is being looked at, in one line; `remark` is what else is to be said of it."""
    source = clip.source
    step = "every frame" if source.stride == 1 else f"one frame in {source.stride}"
    facts = [
        f"{source.width} × {source.height} pixels",
        f"{source.duration:.1f} s",
        f"{clip.num_frames} frames from {clip.timestamps[0]:.1f} s on, {step}",
        *source.warnings,
    ]
    said = f'<span class="remark">{escape(remark[:1].upper() + remark[1:])}.</span>' if remark else ""
    return (
        f'<p class="line" role="status"><bdi class="name">{escape(source.name)}</bdi> '
        f'<span class="facts">{escape(" · ".join(facts))}</span>{said}</p>'
    )
