"""Models as files that run without this package: ONNX (.onnx) and torch.export (.pt2).

Both hold the SIFA operator as one bilinear GridSample over all taps, so any runtime that knows ONNX's operator set 20
can run them. Frames, height and width are fixed in the file; the number of clips is free.
Legend: B clips, N frame pairs, C channels, H x W cells, k kernel size, K = k*k taps.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sifa_core.errors import ExportError
from sifa_core.files import replacing
from sifa_core.layers.sifa import InterFrameAttention
from sifa_core.models.base import VideoModel

OPSET = 20
"""ONNX operator set: the first whose GridSample has the names in use today."""
ENDINGS = (".onnx", ".pt2")
INPUT, OUTPUT = "video", "logits"
ONNX_PACKAGES = ("onnx", "onnxscript")


class GridSampleAttention(nn.Module):
    """`InterFrameAttention` in PyTorch's own operations (Eq. 1, 2, 6, 7), for programs that lack ours."""

    def __init__(self, kernel_size: int, scale: str) -> None:
        super().__init__()
        self.kernel_size, self.scale = kernel_size, scale

    def forward(self, query: Tensor, memory: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] twice and offsets [N, 2K, H, W] in cells -> aggregate [N, C, H, W], weights [N, K, H, W]."""
        channels, height, width = query.shape[1:]
        side, taps = self.kernel_size, torch.arange(self.kernel_size**2, device=query.device)[:, None, None]
        rows = torch.arange(height, device=query.device)[:, None] + taps // side - side // 2  # [K, H, 1]
        columns = torch.arange(width, device=query.device)[None, :] + taps % side - side // 2  # [K, 1, W]
        by_tap = offset.unflatten(1, (-1, 2))
        y = (2 * (rows.to(offset.dtype) + by_tap[:, :, 0]) + 1) / height - 1  # cells to grid_sample's -1..1
        x = (2 * (columns.to(offset.dtype) + by_tap[:, :, 1]) + 1) / width - 1
        grid = torch.stack((x, y), dim=-1).flatten(1, 2)  # [N, K*H, W, 2]: the taps below one another
        sampled = F.grid_sample(memory, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        sampled = sampled.unflatten(2, (side**2, height))
        weights = (query[:, :, None] * sampled).sum(1)
        if self.scale != "none":
            weights = weights / channels
        if self.scale == "softmax":
            weights = weights.softmax(1)
        return (weights[:, None] * sampled).sum(2), weights


def export_model(
    model: VideoModel, path: str | Path, *, frames: int | None = None, size: tuple[int, int] | None = None
) -> Path:
    """Write the model in evaluation mode: [B, 3, T, H, W] "video", normalised -> [B, classes] "logits".

    The file also says its configuration, labels and normalisation: in ONNX's metadata, in .pt2's extra file "model".

    Args:
        model: any model of this project; it is left as it is.
        path: ends in .onnx or .pt2.
        frames: T; as the model is trained by default.
        size: H and W; a square of the model's input size by default.

    Raises:
        ExportError: another ending, a package that is missing, a place that cannot be written to, or a size that the
            exporters cannot deal with.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ExportError(f"{path.name} cannot be written: the ending must be one of {', '.join(ENDINGS)}.")
    if path.suffix == ".onnx":
        need(*ONNX_PACKAGES)
    height, width = size or (model.info.input_size, model.info.input_size)
    # with one clip, torch.export would fix that number
    clips = torch.zeros(2, 3, frames or model.info.num_frames, height, width)
    with exporting(model, path) as draft:
        program = torch.export.export(portable(model), (clips,), dynamic_shapes=({0: torch.export.Dim("clips")},))
        if path.suffix == ".pt2":
            torch.export.save(program, draft, extra_files={"model": json.dumps(description(model))})
        else:
            write_onnx(to_onnx(program, [OUTPUT]), draft, description(model))
    return path


@contextlib.contextmanager
def exporting(model: VideoModel, path: Path) -> Iterator[Path]:
    """The draft of a file for what the exporters make of `model`; it takes the place of `path` when it is whole.

    Raises ExportError, in one sentence, for whatever the exporters raise, and for a place that cannot be written to.
    """
    try:
        # ONNX takes attention apart into products whose results lie otherwise in memory than those of a fused kernel
        with replacing(path) as draft, _quiet(), sdpa_kernel(SDPBackend.MATH):
            try:
                yield draft
            except OSError:
                raise
            except Exception as error:  # the exporters raise many types
                reason = re.sub("\033\\[\\d*m", "", str(error)).strip().splitlines() or [type(error).__name__]
                raise ExportError(f"{model.info.name} cannot be exported to {path.name}: {reason[0]}") from error
    except OSError as error:
        raise ExportError(f"{path.name} cannot be written: {error.strerror}.") from error


def check_export(path: str | Path, model: VideoModel, *, clips: int = 1) -> float:
    """Run a written file on random clips; the largest difference of its logits from the model's.

    Raises ExportError if onnxruntime is needed and missing.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        need("onnxruntime")
        session = importlib.import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
        video = torch.randn(clips, *session.get_inputs()[0].shape[1:])
        logits = torch.from_numpy(session.run([OUTPUT], {INPUT: video.numpy()})[0])
    else:
        program = torch.export.load(path)
        (example,), _ = program.example_inputs
        video = torch.randn(clips, *example.shape[1:])
        with torch.no_grad():
            logits = program.module()(video)
    reference = copy.deepcopy(model).cpu().eval()
    with torch.no_grad():
        return (reference(video) - logits).abs().max().item()


def portable(model: VideoModel) -> VideoModel:
    """A copy on the CPU, in evaluation mode, whose SIFA operator is `GridSampleAttention`."""
    plain = copy.deepcopy(model).cpu().eval()
    for name, module in list(plain.named_modules()):
        if isinstance(module, InterFrameAttention):
            parent, _, last = name.rpartition(".")
            setattr(plain.get_submodule(parent), last, GridSampleAttention(module.kernel_size, module.scale))
    for tensor in (*plain.parameters(), *plain.buffers()):
        tensor.data = tensor.data.contiguous()
    return plain


def to_onnx(program: torch.export.ExportedProgram, outputs: list[str]) -> Any:
    """The program as an onnx.ModelProto with the input "video" and these outputs.

    Without the exporter's notes, a tenth of a small model's file: names of nodes, shapes of what lies between them, and
    the lines of code that they come from, with this machine's paths.
    """
    written = torch.onnx.export(
        program, dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=outputs, verbose=False
    )
    assert written is not None
    content: Any = written.model_proto
    for node in content.graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for value in (*content.graph.input, *content.graph.output, *content.graph.initializer):
        value.ClearField("metadata_props")
    content.graph.ClearField("metadata_props")
    content.graph.ClearField("value_info")
    return content


def write_onnx(content: Any, path: Path, metadata: Mapping[str, object]) -> None:
    """Write an onnx.ModelProto with `metadata` as texts of JSON, key by key. Raises OSError."""
    for key, value in metadata.items():
        content.metadata_props.add(key=key, value=json.dumps(value))
    path.write_bytes(content.SerializeToString())


def description(model: VideoModel) -> dict[str, object]:
    """What every exported file says of its model: configuration, labels, normalisation, the weights' hash."""
    info = model.info
    return {
        "config": model.description(),
        "labels": info.labels,
        "mean": info.mean,
        "std": info.std,
        "sha256": info.sha256,
    }


def need(*packages: str) -> None:
    """Raise ExportError unless all of these packages are installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ExportError(f"ONNX needs {' and '.join(missing)}: pip install {' '.join(missing)}.")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes on their own affairs from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
