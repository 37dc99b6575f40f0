"""Large weights of an ONNX file as float16, half as large on disk; all computation stays in float32.

A Cast after each brings it back, once, when a runtime loads the file and folds what is constant.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

LEAST = 512
"""Numbers; smaller weights (biases, normalisation) stay as they are: they would save nothing."""


def halve_weights(content: Any) -> None:
    """Round the large float32 weights of an onnx.ModelProto to float16, in place.

    One too large for float16 stays float32.
    """
    onnx = importlib.import_module("onnx")
    casts = []
    for weight in content.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < LEAST:
            continue
        with np.errstate(over="ignore"):
            half = onnx.numpy_helper.to_array(weight).astype(np.float16)
        if np.isfinite(half).all():
            name, stored = weight.name, f"{weight.name}.float16"
            weight.CopyFrom(onnx.numpy_helper.from_array(half, stored))
            casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *content.graph.node]  # every node after what it reads
    del content.graph.node[:]
    content.graph.node.extend(nodes)
