"""One or several heads: what they say together, and what each of them learns from.

A network with one head gives logits [B, classes]. One with more (the `dual_head` field) gives [B, classes, heads]
while training, so that each head has a loss of its own, and [B, classes] otherwise. B clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor


def average_heads(logits: Tensor) -> Tensor:
    """[B, classes, heads] -> logits [B, classes] whose softmax is the mean of the heads' softmaxes.

    [B, classes] comes back as it is.
    """
    if logits.ndim == 2:
        return logits
    return logits.log_softmax(dim=1).logsumexp(dim=2) - math.log(logits.shape[2])


def summed_loss(logits: Tensor, labels: Tensor, criterion: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The sum over heads of `criterion(logits, labels)`; labels are [B]."""
    if logits.ndim == 2:
        return criterion(logits, labels)
    losses = [criterion(head, labels) for head in logits.unbind(dim=2)]
    return sum(losses[1:], losses[0])
