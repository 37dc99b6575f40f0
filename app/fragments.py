"""Small pieces of HTML. Every text that comes from a file, a label or an error is escaped here.

The pieces go into `gr.HTML` as values, which are inserted as they are; never put them into a template.
"""

from __future__ import annotations

from html import escape

from sifa_core import Analysis, Clip
from sifa_core.models import ModelInfo

SHOWN_PREDICTIONS = 5

BADGES = {
    "demo": ("demo", "The weights that come with this program"),
    "own": ("own", "Weights of your own"),
    "untrained": ("untrained – predictions hidden", "Random weights: there is nothing to predict with"),
}


def header(info: ModelInfo) -> str:
    """Title, model and badge."""
    badge, meaning = BADGES[info.status]
    return (
        '<header class="masthead"><h1>SIFA Explorer</h1>'
        "<p>See where a video network looks in the next frame.</p>"
        f'<p class="model"><code>{escape(info.name)}</code> '
        f'<span class="badge badge-{info.status}" title="{escape(meaning)}">{escape(badge)}</span></p></header>'
    )


def progress(step: str) -> str:
    """What is being done right now."""
    return f'<p class="line busy" role="status">{escape(step)} …</p>'


def failure(sentence: str) -> str:
    """An error, in place."""
    return f'<p class="line failure" role="alert">{escape(sentence)}</p>'


def clip_facts(clip: Clip) -> str:
    """What is being looked at, in one line."""
    source = clip.source
    step = "every frame" if source.stride == 1 else f"one frame in {source.stride}"
    facts = [
        f"{source.width} × {source.height} pixels",
        f"{source.duration:.1f} s",
        f"{clip.num_frames} frames from {clip.timestamps[0]:.1f} s on, {step}",
        *source.warnings,
    ]
    return (
        f'<p class="line" role="status"><bdi class="name">{escape(source.name)}</bdi> '
        f'<span class="facts">{escape(" · ".join(facts))}</span></p>'
    )


def predictions(analysis: Analysis) -> str:
    """The most probable classes as bars; a sentence instead while the model is untrained."""
    if not analysis.info.is_trained:
        return (
            f'<h2>Predictions</h2><p class="note">Hidden: {escape(analysis.info.name)} has random weights, so its '
            "predictions would mean nothing. What its attention does with them is shown all the same.</p>"
        )
    rows = "".join(
        f'<li><span class="label">{escape(label)}</span><span class="value">{probability:.1%}</span>'
        f'<span class="track"><span class="bar" style="width:{probability:.2%}"></span></span></li>'
        for label, probability in analysis.predictions[:SHOWN_PREDICTIONS]
    )
    return f'<h2>Predictions</h2><ol class="predictions">{rows}</ol>'


COLUMNS = (
    ("Layer", "The SIFA blocks of the network, in the order in which a clip passes them"),
    ("Mean offset", "How far the network moved a sampling point off the regular grid, on average"),
    ("Largest", "The largest offset anywhere in the clip"),
    ("Out of frame", "Share of sampling points that fall beyond the picture, where the network reads zeros"),
    ("Attention spread", "1: all points weigh the same; 0: all weight lies on one point"),
)


def statistics(analysis: Analysis, layer: str) -> str:
    """Offset statistics of every layer, means over the frames; `layer` is marked."""
    head = "".join(f'<th scope="col" title="{escape(meaning)}">{escape(name)}</th>' for name, meaning in COLUMNS)
    rows = []
    for name in analysis.layers:
        figures = analysis.offset_statistics(name)
        cells = (
            f"{figures.mean_magnitude.mean():.2f} cells · {figures.mean_magnitude_pixels.mean():.1f} px",
            f"{figures.max_magnitude.max():.2f} cells",
            f"{figures.out_of_frame.mean():.1%}",
            f"{figures.attention_entropy.mean():.2f}",
        )
        mark = ' class="current" aria-current="true"' if name == layer else ""
        rows.append(
            f'<tr{mark}><th scope="row">{escape(name)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    return (
        '<h2>Offsets by layer</h2><div class="scroll"><table class="statistics">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
