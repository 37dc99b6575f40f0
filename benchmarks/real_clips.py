"""Where maps lie on real clips: held against optical flow, where the camera stands still.

    python -m benchmarks.real_clips [VIDEO ...] [--model MODEL] [--windows 4]

Nobody has drawn what moves in a real video, so OpenCV's DIS flow stands in for the truth: a pixel moves that goes by at
least MOVES of the short side from a frame to the next. A window counts if its camera stands still: if the median of all
flow is below RESTS. Prints how many windows counted, and two tables as in the model card, a window in place of a clip;
without the row of optical flow, which would be held against itself. Windows of one video are much alike, so that the
intervals are too narrow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sifa_core.commands.options import add_model_options, load
from sifa_core.data import Clip
from sifa_core.errors import SifaError
from sifa_core.explain.analysis import Analysis
from sifa_core.explain.benchmark import map_table, summarise_maps
from sifa_core.explain.optical_flow import estimated_flow
from sifa_core.explain.studies.localisation import PlaceScores, default_evidence, score_maps
from sifa_core.inference import video_clips
from sifa_core.paths import EXAMPLE_CLIPS

MOVES = 0.004
"""Of the short side, from a frame to the next; a pixel of 240."""
RESTS = 0.0008
"""Of the short side, the median over all pixels and frames."""


def moving_mask(clip: Clip) -> NDArray[np.bool_] | None:
    """[N, H, W]: which pixels move, by optical flow, to the next frame or, in the last, from the one before.

    None if the camera does not stand still.
    """
    read = estimated_flow(clip.frames)
    length = np.stack([np.linalg.norm(read(number), axis=-1) for number in range(clip.num_frames - 1)])
    length /= min(clip.height, clip.width)
    if np.median(length) >= RESTS:
        return None
    moves = length >= MOVES
    return np.concatenate([moves, moves[-1:]])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Maps on real clips, against optical flow.")
    parser.add_argument("videos", nargs="*", type=Path, help="default: the example clips")
    parser.add_argument("--windows", type=int, default=4, help="clips spread over each video (default 4)")
    add_model_options(parser)
    options = parser.parse_args(arguments)
    model = load(options)
    shown, total = "", 0
    found: tuple[list[dict[str, PlaceScores]], ...] = ([], [])
    for path in options.videos or sorted(EXAMPLE_CLIPS.glob("*.mp4")):
        counted = 0
        clips = video_clips(model, path, options.windows)
        for number, clip in enumerate(clips):
            moving = moving_mask(clip)
            if moving is None:
                continue
            analysis = Analysis.of(model, clip)
            shown = default_evidence(analysis)
            for rows, scores in zip(found, score_maps(analysis, moving, seed=number), strict=True):
                rows.append({name: score for name, score in scores.items() if name != "optical_flow"})
            counted += 1
        total += counted
        print(f"{path.name}: {counted} of {len(clips)} windows", flush=True)
    print(f"\n{total} windows whose camera stands still, against optical flow.")
    if total:
        for heading, rows, name in zip(
            ("What moves", "What speaks for the class"), found, ("motion", shown), strict=True
        ):
            print(f"\n### {heading}\n\n{map_table(summarise_maps(rows), name)}")


if __name__ == "__main__":
    try:
        main()
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error
