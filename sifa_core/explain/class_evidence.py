"""Grad-CAM (Selvaraju et al. 2017) on the last feature map of a stage, frame by frame, by captum."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sifa_core.models import VideoModel


def grad_cam(model: VideoModel, video: Tensor, stage: str, target: int) -> NDArray[np.float32]:
    """Evidence for class `target` in each cell: [T, h, w], at least 0, not normalised.

    Channel weights are the mean gradients of the class's logit over each frame. Takes a forward and a backward of its
    own, because the analysis runs without gradients.
    """
    from captum.attr import LayerGradCam  # imports matplotlib; not worth a second at start-up

    module = model.stage_outputs()[stage]
    with torch.enable_grad():
        attribution = LayerGradCam(model, module).attribute(video, target=target, relu_attributions=True)
    return attribution.detach()[:, 0].float().cpu().numpy()
