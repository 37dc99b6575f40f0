"""Memory of feature maps, by watching a forward. Works on shapes alone (the meta device) as on real tensors."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def training_bytes(model: nn.Module, video: Tensor) -> int:
    """Bytes of the tensors that a forward in training mode keeps for the backward, each storage once.

    Parameters and buffers do not count; the input does where it is saved. On real tensors, batch norms take notice of
    `video`, as in training.
    """
    constant = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    was_training = model.training
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        output = model(video)
    model.train(was_training)
    saved.setdefault(output.untyped_storage()._cdata, output)
    return sum(tensor.untyped_storage().nbytes() for key, tensor in saved.items() if key not in constant)


def inference_bytes(model: nn.Module, video: Tensor) -> int:
    """The most bytes of tensors made by a forward in inference that live at once."""
    was_training = model.training
    model.eval()
    with torch.no_grad(), _LiveBytes() as watch:
        model(video)
    model.train(was_training)
    return watch.peak


class _LiveBytes(TorchDispatchMode):
    """Adds up storages as operations make them and takes them off as they die."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {id(tensor.untyped_storage()) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in before:
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, size)

    def _remove(self, size: int) -> None:
        self.live -= size
