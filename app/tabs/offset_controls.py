"""The controls as cards beside the original: a filmstrip, what the model makes of it, and what that says."""

from __future__ import annotations

from html import escape
from typing import Any

from sifa_core import Analysis
from sifa_core.explain.render.payload import encode_jpeg
from sifa_core.explain.studies.controls import MEANINGS, Control

SHOWN = 3
"""Predictions of a card."""
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 72, 75
ORIGINAL = "As it was filmed."
HEADING = (
    "<h2>Controls</h2><p>Attention is not an explanation by itself. What happens to the prediction when the clip loses "
    "its motion, its direction or its order?</p>"
)
OUTLOOK = (
    f'<div class="sheet"><div class="controls-head">{HEADING}</div><div class="cards" aria-busy="true">'
    + "".join('<section class="card waiting"></section>' for _ in range(1 + len(MEANINGS)))
    + "</div></div>"
)
"""While the controls are being run."""


def summary_of(analysis: Analysis, control: Control | None = None) -> dict[str, Any]:
    """What a card shows of the original, or of one control: little enough to be kept."""
    shown = analysis if control is None else control.analysis
    frames = [shown.frame(t) for t in range(shown.num_frames)]
    layer = analysis.clear_layer
    return {
        "title": "Original" if control is None else control.name.capitalize(),
        "about": ORIGINAL if control is None else control.meaning,
        "pictures": [encode_jpeg(frame, THUMBNAIL_SIDE, THUMBNAIL_QUALITY) for frame in frames],
        "predictions": shown.predictions[:SHOWN],
        "label": analysis.predictions[0][0],
        "change": None if control is None else control.change,
        "verdict": "" if control is None else control.verdict,
        "layer": layer,
        "length": float(shown.offset_statistics(layer).mean_magnitude.mean()),
    }


def control_cards(cards: list[dict[str, Any]], is_trained: bool) -> str:
    """All cards as HTML; predictions only of a trained model."""
    body = "".join(_card(card, is_trained) for card in cards)
    hidden = "" if is_trained else "<p>The model is untrained, so it has no predictions to lose.</p>"
    return f'<div class="sheet"><div class="controls-head">{HEADING}{hidden}</div><div class="cards">{body}</div></div>'


def _card(card: dict[str, Any], is_trained: bool) -> str:
    film = "".join(f'<img src="data:image/jpeg;base64,{picture}" alt="">' for picture in card["pictures"])
    parts = [
        f"<h3>{escape(card['title'])}</h3>",
        f'<div class="film">{film}</div>',
        f'<p class="about">{escape(card["about"])}</p>',
    ]
    if is_trained:
        bars = "".join(_bar(label, probability) for label, probability in card["predictions"])
        parts.append(f"<ol>{bars}</ol>")
        if card["change"] is not None:
            points = round(100 * card["change"])
            amount = f"{'+' if points > 0 else '−' if points < 0 else '±'}{abs(points)} points"
            parts.append(
                f'<p class="change"><b>{amount}</b> for <bdi>{escape(card["label"])}</bdi>: '
                f"the prediction {escape(card['verdict'])}.</p>"
            )
    parts.append(f'<p class="about">Offsets of {escape(card["layer"])}: {card["length"]:.2f} cells on average.</p>')
    return f'<section class="card">{"".join(parts)}</section>'


def _bar(label: str, probability: float) -> str:
    percent = 100 * probability
    return (
        f'<li><bdi title="{escape(label)}">{escape(label)}</bdi><span>{percent:.0f} %</span>'
        f'<i style="--share: {percent:.1f}%"></i></li>'
    )
