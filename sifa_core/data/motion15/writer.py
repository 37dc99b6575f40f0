"""Writes motion15 out as files: mp4 clips, a list, class names, true flow, and what was drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sifa_core.data.motion15.labels import LABELS, SPEED_BINS
from sifa_core.data.motion15.material import SPLITS
from sifa_core.data.motion15.render import MotionConfig, render
from sifa_core.data.mp4 import write_mp4
from sifa_core.errors import ConfigError, ExportError
from sifa_core.files import write_atomically


def make_dataset(
    out: str | Path,
    *,
    split: str = "train",
    count: int = 150,
    seed: int = 0,
    config: MotionConfig | None = None,
    fps: int = 15,
    flow: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render clips 0 to `count` - 1 of a split into a folder.

    Args:
        out: folder; made if missing. Files of the same split are replaced.
        split: "train", "val" or "test".
        count: clips.
        seed: of the set; the clips are those that `render(seed, split, index, config)` draws, before mp4 compression.
        config: size and difficulty; sides must be even, as H.264 wants them.
        fps: frames per second of the files.
        flow: also write flow/<clip>.npz with "flow" float16 [T-1, H, W, 2] (pixels) and "moving" bool [T, H, W].
        progress: called with (done, all) after every clip.

    Returns:
        The list: <split>.txt, lines of "clips/<clip>.mp4 class number".

    Raises:
        ConfigError: an argument makes no sense.
        ExportError: the folder cannot be written to.
    """
    config = config or MotionConfig()
    _check(split, count, fps, seed, config)
    folder = Path(out)
    try:
        for name in ("clips", *(["flow"] if flow else [])):
            (folder / name).mkdir(parents=True, exist_ok=True)
        rows, facts = [], []
        for index in range(count):
            sample = render(seed, split, index, config, truth=flow)
            name = f"{split}_{index:06d}"
            write_mp4(folder / "clips" / f"{name}.mp4", sample.frames, fps)
            if flow and sample.flow is not None and sample.moving is not None:
                truth = {"flow": sample.flow.astype(np.float16), "moving": sample.moving}
                np.savez_compressed(folder / "flow" / f"{name}.npz", **truth)  # type: ignore[arg-type]
            rows.append(f"clips/{name}.mp4 {sample.label}\n")
            speed = {"speed": round(sample.speed, 4), "speed_bin": SPEED_BINS[sample.speed_bin]}
            facts.append({"clip": name, "label": LABELS[sample.label], **speed, **sample.facts})
            if progress is not None:
                progress(index + 1, count)
        write_atomically(folder / "labels.txt", ("\n".join(LABELS) + "\n").encode())
        about = {"split": split, "seed": seed, "count": count, "fps": fps, "config": asdict(config), "clips": facts}
        write_atomically(folder / f"{split}.json", json.dumps(about, indent=1).encode())
        listing = folder / f"{split}.txt"
        write_atomically(listing, "".join(rows).encode())
    except OSError as error:
        raise ExportError(f"The folder {folder} cannot be written to: {error.strerror or error}.") from error
    return listing


def _check(split: str, count: int, fps: int, seed: int, config: MotionConfig) -> None:
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    if count < 1 or fps < 1 or seed < 0:
        raise ConfigError(f"count={count} and fps={fps} must be at least 1, seed={seed} at least 0.")
    if config.height % 2 or config.width % 2:
        raise ConfigError(
            f"Clips of {config.height} x {config.width} cannot be written as mp4; both sides must be even."
        )
