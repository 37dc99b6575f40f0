"""What to do to a place to take it away: hold it still, or blur it? Drawn validation clips of moving objects.

    python -m benchmarks.removal [--model MODEL] [--clips 60]

Prints how much of the predicted class's probability is lost when the tenth of all places that an order names first is
held still, as `explain.studies.faithfulness` does it, and when the same places are blurred; and when all places are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from sifa_core.commands.options import Bar, add_model_options, load, whole_number
from sifa_core.data import Clip
from sifa_core.data.motion15 import MotionConfig, render
from sifa_core.errors import SifaError
from sifa_core.explain.analysis import Analysis
from sifa_core.explain.benchmark.run import BenchmarkConfig, jobs
from sifa_core.explain.class_evidence import FROZEN, motion_path
from sifa_core.explain.studies.faithfulness import FRACTIONS, NAMED, ORDERS, held_where, ranked_places

BLUR = 0.1
"""Standard deviation of the Gaussian, as a fraction of the short side."""
WAYS = ("held still", "blurred")


def blurred(video: Tensor) -> Tensor:
    """Every frame of a video (1, 3, N, H, W), blurred by itself."""
    frames = video[0].permute(1, 2, 3, 0).cpu().numpy()
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), BLUR * min(frame.shape[:2])) for frame in frames])
    return torch.from_numpy(soft).permute(3, 0, 1, 2)[None].to(video)


def losses(analysis: Analysis, seed: int) -> np.ndarray:
    """Probability lost, [ways, orders + 1]: a tenth of the places in each order, and all of them."""
    video = analysis.video
    places = ranked_places(analysis, analysis.evidence_cells(), np.random.default_rng(seed))
    stand_ins = motion_path(video, analysis.frame_index)[FROZEN : FROZEN + 1], blurred(video)
    tested = [video]
    for stand_in in stand_ins:
        tested += [held_where(places[order], FRACTIONS[NAMED], video, stand_in) for order in ORDERS]
        tested.append(stand_in)
    with torch.no_grad():
        probability = analysis.model(torch.cat(tested)).float().softmax(1)[:, analysis.target_index(None)]
    return (probability[0] - probability[1:]).reshape(len(WAYS), -1).cpu().numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Holding places still against blurring them.")
    parser.add_argument("--clips", type=whole_number(1), default=60, help="default 60")
    add_model_options(parser)
    options = parser.parse_args(arguments)
    model = load(options)
    drawn = MotionConfig(model.info.num_frames, model.info.input_size, model.info.input_size)
    config = BenchmarkConfig(options.clips, split="val")
    progress, rows = Bar("clip"), []
    for number, job in enumerate(jobs(config, drawn)[: options.clips], 1):
        sample = render(config.seed, config.split, job.index, drawn)
        rows.append(losses(Analysis.of(model, Clip.from_array(sample.frames)), job.index))
        progress(number, options.clips)
    print(f"{options.clips} validation clips; percentage points lost:\n\n| places | {' | '.join(ORDERS)} | all |")
    print("|---|---|---|---|---|")
    for way, values in zip(WAYS, 100 * np.mean(rows, axis=0), strict=True):
        print(f"| {way} | {' | '.join(f'{value:.1f}' for value in values)} |")


if __name__ == "__main__":
    try:
        main()
    except SifaError as error:
        raise SystemExit(f"error: {error}") from error
