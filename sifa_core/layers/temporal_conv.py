"""Temporal convolution: the 1D half of a (2+1)D convolution (Tran et al., CVPR 2018; Table 1e "Temporal Conv").

The block's 3x3 convolution, norm and ReLU are the spatial half, this convolution over three frames the temporal half.
It starts as the identity (1 on the middle frame), so ImageNet weights keep their meaning. A norm and a ReLU of its own
would undo that; those of the block's next convolution follow anyway. B clips, T frames, C channels.
"""

from __future__ import annotations

from torch import Tensor, nn

from sifa_core.layers.temporal import TemporalConfig, register_temporal


@register_temporal("temporal_conv")
class TemporalConvolution(nn.Module):
    """3 x 1 x 1 convolution over t-1, t, t+1, zeros beyond the clip."""

    def __init__(self, channels: int, config: TemporalConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=(3, 1), padding=(1, 0), bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The identity; called again after a model's general initialisation."""
        nn.init.dirac_(self.conv.weight)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """[B*T, C, H, W], T = `frames` -> the same shape."""
        # a channels_last clip is, without a copy, an image whose rows are frames and whose columns are cells
        images = x.unflatten(0, (-1, frames)).flatten(3).transpose(1, 2)  # [B, C, T, H*W]
        mixed = self.conv(images)
        return mixed.transpose(1, 2).unflatten(3, x.shape[2:]).flatten(0, 1)
