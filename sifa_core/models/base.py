"""What every video model offers to the rest: a forward on clips, its SIFA layers by name, and facts about itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from sifa_core.errors import ModelError
from sifa_core.layers import SIFA, TemporalConfig

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a model and its weights, shown beside every prediction and written into every export."""

    name: str
    """Registry name of the architecture, e.g. "sifa_net_tiny"."""
    status: str
    """"demo" (shipped weights), "own" (a file of the user) or "untrained" (predictions mean nothing)."""
    labels: tuple[str, ...]
    """Class names in the order of the logits."""
    num_frames: int
    """Frames of a clip, as trained."""
    input_size: int
    """Short side in pixels that `analyze` resizes a clip to."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Channel means of the input, RGB in 0..1."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Channel standard deviations of the input, RGB in 0..1."""
    source: str = ""
    """File name of the weights; empty if untrained."""
    sha256: str = ""
    """Hash of the weights' file; of names and values of the parameters for the untrained models of `load_model`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Whatever else the checkpoint says about itself: training data, seed, metrics."""

    @property
    def is_trained(self) -> bool:
        """Whether predictions may be shown."""
        return self.status != "untrained"


class VideoModel(nn.Module):
    """Base of SIFA-Net and SIFA-Transformer. Frames are folded into the batch: [B*T, C, H, W], channels_last."""

    config: TemporalConfig
    """The frozen configuration that the model was built from."""
    info: ModelInfo
    spatial_stride: int
    """Input pixels per cell of the last feature map."""
    temporal_stride: int
    """Input frames per feature frame."""
    takes_any_size = True
    """Whether the same operations run for every height and width, so that one traced program holds for all."""

    def stage_outputs(self) -> dict[str, nn.Module]:
        """Stage name -> the module whose output is that stage's last feature map, [B*T, C, H, W]."""
        raise NotImplementedError

    def sifa_layers(self) -> dict[str, SIFA]:
        """Layer name, e.g. "res5.2", -> SIFA block, in the order of the forward."""
        raise NotImplementedError

    def head_weight(self) -> Tensor | None:
        """[classes, C]: what the mean over cells and frames of the last stage's last feature map is multiplied by to
        give the logits, up to a constant. None where anything else stands between the two."""
        return None

    def description(self) -> dict[str, Any]:
        """How to build the model again: its registry name and, under "switches", the fields of its configuration.

        The key is that of the first checkpoints, which are still read and whose readers still read these.
        """
        return {"name": self.info.name, "switches": dataclasses.asdict(self.config)}

    @staticmethod
    def check_input(video: Tensor) -> None:
        """Raise ModelError unless `video` is a floating [B, 3, T, H, W]."""
        if video.ndim != 5 or video.shape[1] != 3 or not video.is_floating_point() or 0 in video.shape:
            raise ModelError(
                f"A model takes a floating-point tensor (clips, 3, frames, height, width), not {video.dtype} "
                f"{tuple(video.shape)}."
            )
