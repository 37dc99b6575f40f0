"""Small clips in double precision, for comparisons with sums written out as loops."""

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture
def clips() -> Callable[..., torch.Tensor]:
    """Makes (B*T, C, H, W), channels_last, the same at every call with the same sizes."""

    def make(frames: int = 3, count: int = 2, channels: int = 8, height: int = 5, width: int = 7) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(count * frames, channels, height, width, generator=generator, dtype=torch.float64)
        return x.to(memory_format=torch.channels_last)

    return make


@pytest.fixture
def randomise() -> Callable[[nn.Module], nn.Module]:
    """Gives every parameter and every running statistic a random value, so that no part is silent, and evaluates."""

    def fill(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
            for name, buffer in module.named_buffers():
                if name.endswith("running_mean"):
                    buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.4)
                if name.endswith("running_var"):
                    buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
        return module.double().eval()

    return fill
