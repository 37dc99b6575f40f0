"""What a model says of clips and of whole videos. No explanation in it; for models with or without SIFA layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sifa_core import data
from sifa_core.data import Clip
from sifa_core.data.transforms import to_model_input
from sifa_core.errors import NotFiniteError
from sifa_core.models import ModelInfo, VideoModel

if TYPE_CHECKING:
    from sifa_core.data.isolated import Readers

VIEWS = 10
"""Clips of a video over which its prediction is averaged (section 4.1, "Inference Strategy")."""

Predictions = list[tuple[str, float]]
"""(label, probability), most probable first."""


def prepare(model: VideoModel, clip: Clip) -> Tensor:
    """The clip as the model takes it, [1, 3, T, H, W] on its device: whole frames, resized and normalised."""
    info = model.info
    video = to_model_input(
        clip.frames, short_side=info.input_size, stride=model.spatial_stride, mean=info.mean, std=info.std
    )
    return video.to(next(model.parameters()).device)


def predict(model: VideoModel, *clips: Clip) -> Predictions:
    """(label, probability), most probable first, the mean over `clips`. Raises NotFiniteError."""
    model.eval()
    with torch.inference_mode():
        probabilities = [model(prepare(model, clip))[0].float().cpu().softmax(0) for clip in clips]
    for clip, probability in zip(clips, probabilities, strict=True):
        check_finite(probability, model.info, clip)
    return rank(torch.stack(probabilities).mean(0), model.info.labels)


def predict_video(model: VideoModel, path: str | Path, views: int = VIEWS) -> Predictions:
    """`predict` for a whole video: the mean over clips spread evenly over it (section 4.1, "Inference Strategy").

    Raises ClipError and its subclasses, and NotFiniteError.
    """
    return predict(model, *video_clips(model, path, views))


def video_clips(model: VideoModel, path: str | Path, views: int = VIEWS, readers: Readers | None = None) -> list[Clip]:
    """The clips over which `predict_video` takes the mean, no larger than the model needs; raises as that does.

    They are read by `readers` if given, and in this process otherwise.
    """
    read = data.read_video if readers is None else readers.read_video
    return list(read(path, model.info.num_frames, views, max_short_side=2 * model.info.input_size).views)


def rank(probabilities: Tensor, labels: Sequence[str]) -> Predictions:
    """Probabilities [classes] as (label, probability), most probable first."""
    return [
        (labels[number], float(probabilities[number])) for number in probabilities.argsort(descending=True).tolist()
    ]


def shown_predictions(info: ModelInfo, predictions: Predictions) -> Predictions:
    """The predictions to show: none for an untrained model, whose probabilities mean nothing."""
    return predictions if info.is_trained else []


def check_finite(probabilities: Tensor, info: ModelInfo, clip: Clip) -> None:
    """Raise NotFiniteError, naming the weights and the clip, unless all are numbers."""
    if not torch.isfinite(probabilities).all():
        raise NotFiniteError(f"{info.source or info.name} gives values that are not finite for {clip.source.name}.")


def public_predictions(
    info: ModelInfo, predictions: Sequence[tuple[str, float]] | None, best: int | None = None
) -> list[dict[str, Any]] | None:
    """The `best` first predictions as {label, probability}, for JSON; None stays None.

    None for an untrained model, too, see `shown_predictions`.
    """
    if predictions is None or not info.is_trained:
        return None
    return [{"label": label, "probability": float(np.nan_to_num(value))} for label, value in predictions[:best]]
