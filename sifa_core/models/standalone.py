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
import warnings
from collections.abc import Iterator
from pathlib import Path

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
        _need(*ONNX_PACKAGES)
    height, width = size or (model.info.input_size, model.info.input_size)
    # with one clip, torch.export would fix that number
    clips = torch.zeros(2, 3, frames or model.info.num_frames, height, width)
    try:
        with replacing(path) as draft:
            _write(draft, model, clips)
    except OSError as error:
        raise ExportError(f"{path.name} cannot be written: {error.strerror}.") from error
    except _ExporterError as error:
        raise ExportError(f"{model.info.name} cannot be exported to {path.name}: {error}") from error.__cause__
    return path


class _ExporterError(Exception):
    """What an exporter says: the first line of its message, or its type where it has no words."""


def _write(path: Path, model: VideoModel, clips: Tensor) -> None:
    """Trace the model on `clips` [B, 3, T, H, W], B free, and write it in the format of the ending."""
    plain = portable(model)
    # ONNX takes attention apart into products whose results lie otherwise in memory than those of a fused kernel
    with _quiet(), sdpa_kernel(SDPBackend.MATH):
        try:
            program = torch.export.export(plain, (clips,), dynamic_shapes=({0: torch.export.Dim("clips")},))
            if path.suffix == ".pt2":
                torch.export.save(program, path, extra_files={"model": json.dumps(_description(model))})
            else:
                _write_onnx(program, path, model)
        except Exception as error:  # the exporters raise many types
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise _ExporterError(reason[0]) from error


def check_export(path: str | Path, model: VideoModel, *, clips: int = 1) -> float:
    """Run a written file on random clips; the largest difference of its logits from the model's.

    Raises ExportError if onnxruntime is needed and missing.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        _need("onnxruntime")
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


def _write_onnx(program: torch.export.ExportedProgram, path: Path, model: VideoModel) -> None:
    written = torch.onnx.export(
        program, dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT], verbose=False
    )
    assert written is not None
    for key, value in _description(model).items():
        written.model.metadata_props[key] = json.dumps(value)
    written.save(path, external_data=False)


def _description(model: VideoModel) -> dict[str, object]:
    info = model.info
    return {
        "config": model.description(),
        "labels": info.labels,
        "mean": info.mean,
        "std": info.std,
        "sha256": info.sha256,
    }


def _need(*packages: str) -> None:
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
