"""What the Compare tab says of the predictions of two models on the same clip, side by side."""

from __future__ import annotations

from typing import Any

SHOWN = 5
"""Most probable classes of each side that the table holds."""

Predictions = list[dict[str, Any]]
"""See `public_predictions`."""


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
