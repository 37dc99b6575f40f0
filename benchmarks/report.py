"""Turns the benchmark's results into Markdown: all tables, and the short form that stands in the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

MARKS = "<!-- figures of make bench -->", "<!-- end of figures -->"
"""Between these lines the README holds what `update_readme` writes."""


def update_readme(path: Path, results: dict[str, Any]) -> None:
    """Put the tables of times and ratios between the README's marks. Raises ValueError if it has none."""
    begin, end = MARKS
    text, count = re.subn(
        rf"{begin}.*?{end}", lambda _: f"{begin}\n{summary(results)}{end}", path.read_text(encoding="utf-8"), flags=re.S
    )
    if count != 1:
        raise ValueError(f"{path.name} must have the lines {begin} and {end} once")
    path.write_text(text, encoding="utf-8")


def summary(results: dict[str, Any]) -> str:
    """Where it was measured, medians of every formulation, and whole models."""
    models = ["", *_model_table(results["models"])] if results["models"] else []
    return "\n".join([_measured(results["machine"]), "", *_operator_table(results["operator"], ""), *models]) + "\n"


def markdown(results: dict[str, Any]) -> str:
    """Tables of times, ratios and roofline fractions."""
    machine = results["machine"]
    lines = [
        _measured(machine),
        "",
        *_operator_table(results["operator"], ""),
        "",
        f"The fastest of the same calls (load average at the start: {machine['load_before']}):",
        "",
        *_operator_table(results["operator"], "_fastest"),
        "",
        *_roofline_table(results["operator"], results["ceilings"]),
    ]
    if results["models"]:
        lines += ["", *_model_table(results["models"])]
    return "\n".join(lines) + "\n"


def _measured(machine: dict[str, Any]) -> str:
    return (
        f"Measured on {machine['processor']}, {machine['threads']} threads, torch {machine['torch']}; back end "
        f"{machine['backend']}. Medians of one run in which all formulations take turns of two calls, the second of "
        "which is timed; milliseconds forward / "
        "forward and backward; in brackets how many times longer than ours."
    )


def _operator_table(rows: list[dict[str, Any]], which: str) -> list[str]:
    names = list(rows[0]["seconds"])
    lines = [f"| shape | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = [_times(row["seconds"][name], row["seconds"]["ours"], which) for name in names]
        lines.append(f"| {row['stage']} {'x'.join(map(str, row['shape']))} | {' | '.join(cells)} |")
    return lines


def _times(seconds: dict[str, float], ours: dict[str, float], which: str) -> str:
    forward, both = f"forward{which}", f"both{which}"
    text = f"{1e3 * seconds[forward]:.2f} / {1e3 * seconds[both]:.2f}"
    if seconds is ours:
        return text
    return f"{text} ({seconds[forward] / ours[forward]:.1f}x / {seconds[both] / ours[both]:.1f}x)"


def _roofline_table(rows: list[dict[str, Any]], ceilings: dict[str, float]) -> list[str]:
    lines = [
        f"Ceilings measured in the same run, by loops: {ceilings['compute'] / 1e9:.0f} GFLOP/s (multiply-adds), "
        f"{ceilings['cache'] / 1e9:.0f} GB/s (first-level cache), {ceilings['second_level'] / 1e9:.0f} GB/s "
        f"(second-level cache), {ceilings['memory'] / 1e9:.1f} GB/s (memory copy). Shares are those of our fastest "
        "call. Bytes: compulsory traffic, then what the arithmetic loads from and stores to the caches.",
        "",
        "| shape | direction | MFLOP | MB compulsory | MB loaded and stored | of compute | of memory | of cache |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for kind, title in (("forward", "forward"), ("both", "forward and backward")):
            line = row["roofline"][kind]
            fractions = " | ".join(f"{100 * line['fractions'][name]:.0f} %" for name in ("compute", "memory", "cache"))
            amounts = " | ".join(f"{line[name] / 1e6:.1f}" for name in ("operations", "memory", "cache"))
            lines.append(f"| {row['stage']} x{row['clips']} | {title} | {amounts} | {fractions} |")
    lines += [
        "",
        "The forward's multiply-adds alone, at the measured rate, against our calls:",
        "",
        "| shape | limit, ms | median | fastest |",
        "|---|---|---|---|",
    ]
    for row in rows:
        limit, ours = row["roofline"]["limit"], row["seconds"]["ours"]
        cells = f"{ours['forward'] / limit:.2f}x | {ours['forward_fastest'] / limit:.2f}x"
        lines.append(f"| {row['stage']} x{row['clips']} | {1e3 * limit:.3f} | {cells} |")
    return lines


def _model_table(rows: list[dict[str, Any]]) -> list[str]:
    base = rows[-1]
    lines = ["| model, 16x256x256, forward | seconds | ratio | fastest | ratio |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (f"{row[kind]:.3f} | {row[kind] / base[kind]:.2f}" for kind in ("seconds", "fastest"))
        lines.append(f"| {row['model']} | {' | '.join(cells)} |")
    return lines
