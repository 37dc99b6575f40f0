"""The controls as cards beside the original: a filmstrip, what the model makes of it, and what that says."""

from __future__ import annotations

from html import escape
from typing import Any

from sifa_core import Analysis
from sifa_core.explain.render.payload import encode_jpeg
from sifa_core.explain.studies.controls import MEANINGS, Control, run_controls
from sifa_core.inference import public_predictions

SHOWN = 3
"""Predictions of a card."""
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 72, 75
ORIGINAL = "As it was filmed."
HEADING = (
    "<h2>Controls</h2><p>Attention is not an explanation by itself. What happens to the prediction when the clip loses "
    "its motion, its direction or its order?</p>"
)
PLACEHOLDER = (
    f'<div class="sheet"><div class="controls-head">{HEADING}</div><div class="cards" aria-busy="true">'
    + "".join('<section class="card waiting"></section>' for _ in range(1 + len(MEANINGS)))
    + "</div></div>"
)
"""While the controls are being run."""


def cards_of(analysis: Analysis) -> list[dict[str, Any]]:
    """What the cards show of the original and of each control: little enough for the cache. Runs the controls."""
    return [_summary(analysis, None), *(_summary(analysis, control) for control in run_controls(analysis))]


def _summary(analysis: Analysis, control: Control | None) -> dict[str, Any]:
    shown = analysis if control is None else control.analysis
    layer = analysis.clear_layer
    return {
        "title": "Original" if control is None else control.name.capitalize(),
        "about": ORIGINAL if control is None else control.meaning,
        "pictures": [encode_jpeg(shown.frame(t), THUMBNAIL_SIDE, THUMBNAIL_QUALITY) for t in range(shown.num_frames)],
        "predictions": public_predictions(shown.info, shown.predictions, SHOWN),
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
    filmstrip = "".join(f'<img src="data:image/jpeg;base64,{picture}" alt="">' for picture in card["pictures"])
    parts = [
        f"<h3>{escape(card['title'])}</h3>",
        f'<div class="filmstrip">{filmstrip}</div>',
        f'<p class="about">{escape(card["about"])}</p>',
    ]
    if is_trained:
        bars = "".join(_bar(row["label"], row["probability"]) for row in card["predictions"])
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
        f'<i style="--fraction: {percent:.1f}%"></i></li>'
    )
