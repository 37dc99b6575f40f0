"""What the line above the tabs says: of the clip, as HTML with every text escaped, and of progress and errors."""

from __future__ import annotations

from html import escape

from sifa_core import Clip


def progress(step: str) -> dict[str, str]:
    """What is being done right now, for the line for progress and errors."""
    return {"busy": step}


def failure(sentence: str) -> dict[str, str]:
    """An error, in its place."""
    return {"failure": sentence}


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
