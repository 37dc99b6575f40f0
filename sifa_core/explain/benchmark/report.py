"""The benchmark in words and tables: Markdown for people, JSON for programs, a section of a model card."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from sifa_core.errors import ExportError
from sifa_core.explain.benchmark.estimate import Estimate
from sifa_core.explain.benchmark.run import ExplanationBenchmark, average_score
from sifa_core.explain.studies.faithfulness import ORDERS
from sifa_core.explain.studies.localisation import BASELINES
from sifa_core.files import write_atomically

HEADING = "## Explanations"
WIDTH = 120
ORDER_WORDS = {
    "evidence": "by the class evidence shown first",
    "random": "at random",
    "frame_difference": "by the frame difference",
}
MEANINGS = """\
AUC: the probability that a place on the mover has a larger value than one beside it (0.5 by chance). Peak: how often
the map's maximum lies on the mover. A map is about several input frames, so the mover counts wherever it is in any of
them; the last two columns count it only in the one picture that the map is drawn over. **Bold**: shown first. *Italic*:
maps that know no network. In brackets: 95 % intervals, from drawing the clips again.
"""
DRIFT = "AUC / peak. Where the camera drifts everything moves, and the mover is what moves otherwise."
POINTS = """\
The query is on the mover's middle. How much lies on the mover in the next feature frame, of the strongest three points,
of the attention, of all points, of the same points without offsets, and of the whole picture:
"""
DISPLACEMENT = """\
Where the mover moves by at least a quarter of a cell, the attention-weighted displacement against the true flow, in
cells of each layer's map (in brackets: the same attention without offsets; the error of no displacement at all):
"""


def markdown(found: ExplanationBenchmark) -> str:
    """All tables, each with a sentence on what it says; begins with HEADING."""
    parts = [
        HEADING,
        _wrapped(f"{found.protocol}."),
        MEANINGS.strip(),
        "### What moves",
        map_table(found.motion, "motion"),
        "### What speaks for the predicted class",
        map_table(found.evidence, found.shown_evidence),
        "### By class, speed and camera",
        DRIFT,
        _group_table(found),
        "### Sampling points",
        POINTS.strip(),
        _point_table(found),
        DISPLACEMENT.strip(),
        _displacement_table(found),
        "### Faithfulness",
        *_faithfulness(found),
    ]
    return "\n\n".join(parts) + "\n"


def write_files(found: ExplanationBenchmark, folder: Path) -> tuple[Path, Path]:
    """Write explanations.json and explanations.md into `folder`; returns their paths. Raises ExportError."""
    data, text = folder / "explanations.json", folder / "explanations.md"
    _write(data, json.dumps(found.to_dict(), indent=1) + "\n")
    _write(text, markdown(found))
    return data, text


def update_card(card: Path, found: ExplanationBenchmark) -> None:
    """Put the tables into a model card: in place of its section HEADING, or before its limits, or at its end.

    Raises ExportError if the card cannot be read or written.
    """
    before, after = split_card(read_card(card))
    _write(card, f"{before}{markdown(found)}\n{after}".rstrip("\n") + "\n")


def read_card(card: Path) -> str:
    """The card's text. Raises ExportError if there is no such file: better before the work than after it."""
    try:
        return card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ExportError(f"The model card {card} cannot be read: {reason}.") from error


def split_card(text: str) -> tuple[str, str]:
    """What comes before and after the section HEADING, or before and after the place that it belongs at."""
    own = re.search(rf"^{HEADING}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if own is not None:
        return text[: own.start()], text[own.end() :]
    limits = re.search(r"^## Limits$", text, re.MULTILINE)
    return (text[: limits.start()], text[limits.start() :]) if limits else (text.rstrip("\n") + "\n\n", "")


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}.") from error


def map_table(rows: dict[str, dict[str, Estimate]], shown: str) -> str:
    """A Markdown table of maps by name, fields of `PlaceScores` each: `shown` first, then the best, BASELINES last."""
    best_first = sorted(rows, key=lambda name: (name in BASELINES, name != shown, -rows[name]["auc"].mean))
    most = max(row["auc"].clips for row in rows.values())
    body = []
    for name in best_first:
        row, label = rows[name], name.replace("_", " ")
        label = f"**{label}**" if name == shown else f"*{label}*" if name in BASELINES else label
        count = f" ({row['auc'].clips} clips)" if row["auc"].clips < most else ""
        cells = [_interval(row["auc"]), _interval(row["peak"]), _mean(row["auc_shown"]), _mean(row["peak_shown"])]
        body.append([label + count, *cells])
    return _table(["map", "AUC", "peak", "AUC, picture shown", "peak, picture shown"], body)


def _group_table(found: ExplanationBenchmark) -> str:
    body = []
    for groups in found.groups.values():
        for name, records in groups.items():
            if not records:
                continue
            cells = [
                " / ".join(f"{average_score(records, kind, each, field):.2f}" for field in ("auc", "peak"))
                for kind, shown in (("motion", "motion"), ("evidence", found.shown_evidence))
                for each in (shown, "frame_difference")
            ]
            body.append([name, len(records), *cells])
    return _table(["clips", "number", "motion", "frame difference", "class evidence", "frame difference"], body)


def _point_table(found: ExplanationBenchmark) -> str:
    body = []
    for key, row in found.points.items():
        layer, levels = key.split(" x ")
        label = f"{layer}, {levels} level{'s' if levels == '2' else ''}"
        name = f"**{label}**" if layer == found.shown_layer and levels == "1" else label
        rest = [_mean(row[figure]) for figure in ("attention", "points", "regular", "area")]
        body.append([name, _interval(row["strongest"]), *rest])
    return _table(["layer", "strongest three", "attention", "all points", "without offsets", "picture"], body)


def _displacement_table(found: ExplanationBenchmark) -> str:
    body = [
        [
            layer,
            f"{_mean(row['cosine'])} ({_mean(row['regular_cosine'])})",
            f"{_mean(row['error'])} ({_mean(row['regular_error'])}; {_mean(row['still_error'])})",
        ]
        for layer, row in found.displacement.items()
    ]
    return _table(["layer", "cosine", "end-point error"], body)


def _faithfulness(found: ExplanationBenchmark) -> list[str]:
    drops = _table(
        ["the first tenth of all places, ranked", "percentage points lost when it is held still"],
        [[ORDER_WORDS[order], _points(found.drop(order))] for order in ORDERS],
    )
    depths = ", ".join(f"{depth} {_mean(value)}" for depth, value in found.randomised().items())
    believed = sum(each.faithful for each in found.verdicts)
    return [
        _wrapped(f"{len(found.verdicts)} of these clips; probability of the class that is predicted:"),
        drops,
        _wrapped(
            f"Rank correlation with the same map of a network whose weights are drawn at random, from the head down as "
            f"far as: {depths}. With the map of the second class: {_mean(found.other_class())}. "
            f"`analysis.faithfulness()` believes {believed} of the {len(found.verdicts)} pictures."
        ),
    ]


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)


def _mean(value: Estimate) -> str:
    return "-" if value.clips == 0 else f"{value.mean:.2f}"


def _interval(value: Estimate) -> str:
    return "-" if value.clips == 0 else f"{value.mean:.3f} ({value.low:.2f} to {value.high:.2f})"


def _points(value: Estimate) -> str:
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def _table(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
