"""What a server makes sure of before it lets visitors in: weights, operator, decoder, room on the disk."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import torch

import sifa_core as sifa
from sifa_core import SifaError
from sifa_core.inference import predict
from sifa_core.models import VideoModel
from sifa_core.ops import backend
from sifa_core.paths import CHECKPOINTS, EXAMPLE_CLIPS

LEAST_FREE = 500_000_000
"""Bytes that uploads need on the disk at least."""
SUMS = CHECKPOINTS / "SHA256SUMS"

log = logging.getLogger("app")


class SelfCheckError(SifaError):
    """Something without which the page cannot be served."""


def check(model: VideoModel, folder: Path) -> None:
    """Try each part once and log what it is. Raises SelfCheckError for a part that does not work.

    Weights that came with the program must be those of SHA256SUMS beside them; any must give finite numbers. Uploads go
    to `folder`.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise SelfCheckError(
            f"There are {free / 1e6:.0f} MB free for uploads; this server needs {LEAST_FREE / 1e6:.0f} MB."
        )
    info = model.info
    if info.status == "demo" and info.sha256 not in SUMS.read_text(encoding="ascii").split():
        raise SelfCheckError(f"The weights {info.source} are damaged: their hash is not the one in {SUMS.name}.")
    clips = sorted(EXAMPLE_CLIPS.glob("*.mp4"))
    if clips:
        clip = sifa.read_clip(clips[0], info.num_frames, max_short_side=2 * info.input_size)
    else:
        clip = sifa.Clip.from_array(torch.zeros(info.num_frames, 64, 64, 3, dtype=torch.uint8).numpy(), name="black")
    predict(model, clip)  # raises NotFiniteError for weights that are no use
    place = next(model.parameters()).device
    log.info("weights: %s, sha256 %s, on %s", info.name, info.sha256[:16] or "none", place)
    log.info("operator: %s; decoder: works; free for uploads: %.1f GB", backend(place), free / 1e9)
