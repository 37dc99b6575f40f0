"""The paper's tables as data: accuracy against cost (Tables 2 to 4) and the ablations (Tables 1a to 1e).

Figures are as printed: GFLOPs are multiply-adds in thousands of millions for one view, accuracies are per cent. None
stands for "-" and "N/A". `profile --paper` puts our own cost beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sifa_core.errors import UnknownNameError

DATASETS = ("kinetics400", "kinetics600", "something_v1", "something_v2")
"""Data sets that the paper reports on, in its order."""


@dataclass(frozen=True)
class Result:
    """One row of Tables 2 to 4 on one data set."""

    method: str
    """Name as in the paper, without the clip length, e.g. "SIFA-Net"."""
    backbone: str
    """Image network it is built on, e.g. "R50" or "Swin-B"."""
    frames: int | None
    """Clip length, where the paper gives it: its own models."""
    gflops_per_view: float | None
    """Multiply-adds of one forward, in thousands of millions; None where the table says N/A."""
    views: int | None
    """Forwards a video; 1 where the table prints a bare figure, None where it says N/A."""
    top1: float
    """Accuracy in per cent."""
    top5: float | None
    """Accuracy of the best five in per cent; None where the table has none."""
    table: str
    """Where it stands: "2", "3" or "4"."""

    @property
    def label(self) -> str:
        """Method with its clip length as the paper writes it, e.g. "SIFA-Net (16)"; the Transformer has one length."""
        return f"{self.method} ({self.frames})" if self.method == "SIFA-Net" else self.method

    @property
    def is_ours(self) -> bool:
        """Whether it is one of the paper's own models, which this project builds."""
        return self.method in ("SIFA-Net", "SIFA-Transformer")

    @property
    def family(self) -> str:
        """The table's group: "convolutional" or "transformer"."""
        return "transformer" if self.backbone.startswith(("ViT", "MViT", "Swin")) else "convolutional"

    @property
    def total_gflops(self) -> float | None:
        """Cost of a video: one view's times the views; None unless the table gives both."""
        if self.gflops_per_view is None or self.views is None:
            return None
        return self.gflops_per_view * self.views


@dataclass(frozen=True)
class Ablation:
    """One row of Tables 1a to 1e: ResNet-50, 16 frames, one 256 x 256 clip, Kinetics-400."""

    table: str
    """Where it stands: "1a" to "1e"."""
    variant: str
    """Name of the row, e.g. "SIFA_R", "5 x 5" or "res4 res5"."""
    gflops: float | None
    """Multiply-adds, in thousands of millions; None where they cannot be read in the source used here."""
    top1: float
    """Accuracy in per cent."""
    top5: float
    """Accuracy of the best five in per cent."""


def results(dataset: str) -> list[Result]:
    """Every row that the paper prints for one of `DATASETS`, in its order. Raises UnknownNameError for another name.

    Rows without a top-1 accuracy on that data set are left out.
    """
    if dataset not in DATASETS:
        raise UnknownNameError(f"The paper has no results on {dataset!r}; choose one of {', '.join(DATASETS)}.")
    if dataset in ("kinetics400", "kinetics600"):
        number, table = ("2", _TABLE_2) if dataset == "kinetics400" else ("3", _TABLE_3)
        return [Result(*row, number) for row in table]
    columns = slice(0, 2) if dataset == "something_v1" else slice(2, 4)
    rows = []
    for method, backbone, frames, gflops, views, *accuracies in _TABLE_4:
        top1, top5 = accuracies[columns]
        if top1 is not None:
            rows.append(Result(method, backbone, frames, gflops, views, top1, top5, "4"))
    return rows


def ablations(table: str) -> list[Ablation]:
    """The rows of Table "1a", "1b", "1c", "1d" or "1e". Raises UnknownNameError for another name."""
    if table not in _TABLES_1:
        raise UnknownNameError(f"The paper has no ablation table {table!r}; choose one of {', '.join(_TABLES_1)}.")
    return [Ablation(table, *row) for row in _TABLES_1[table]]


_Row = tuple[str, str, int | None, int | None, int | None, float, float | None]

# method, backbone, frames, GFLOPs, views, top-1, top-5 on Kinetics-400
_TABLE_2: tuple[_Row, ...] = (
    ("I3D", "Inception", None, 108, None, 72.1, 90.3),
    ("TSN", "Inception", None, 80, 10, 72.5, 90.2),
    ("MF-Net", "R34", None, 11, 50, 72.8, 90.4),
    ("R(2+1)D", "R34", None, 152, 10, 74.3, 91.4),
    ("S3D", "Inception", None, 71, 30, 74.7, 93.4),
    ("TSM", "R50", None, 33, 30, 74.1, 91.2),
    ("TEINet", "R50", None, 33, 30, 74.9, 91.8),
    ("TEA", "R50", None, 33, 30, 75.0, 91.8),
    ("SlowFast", "R50+R50", None, 36, 30, 75.6, 92.1),
    ("NL I3D", "R50", None, 282, 30, 76.5, 92.6),
    ("SmallBig", "R50", None, 57, 30, 76.3, 92.5),
    ("CorrNet", "R50", None, 115, 10, 77.2, None),
    ("TDN", "R50", None, 72, 30, 77.5, 93.2),
    ("SIFA-Net", "R50", 16, 25, 30, 77.4, 93.3),
    ("SIFA-Net", "R50", 32, 51, 30, 78.5, 93.6),
    ("SIFA-Net", "R50", 64, 112, 30, 80.1, 94.4),
    ("ip-CSN", "R101", None, 83, 30, 76.7, 92.3),
    ("SmallBig", "R101", None, 418, 12, 77.4, 93.3),
    ("NL I3D", "R101", None, 359, 30, 77.7, 93.3),
    ("TDN", "R101", None, 132, 30, 78.5, 93.9),
    ("CorrNet", "R101", None, 224, 30, 79.2, None),
    ("SlowFast", "R101+R101", None, 234, 30, 79.8, 93.9),
    ("SIFA-Net", "R101", 16, 39, 30, 78.7, 94.0),
    ("SIFA-Net", "R101", 32, 78, 30, 79.8, 94.2),
    ("SIFA-Net", "R101", 64, 157, 30, 81.3, 95.2),
    ("TimeSformer", "ViT-B", None, 2380, 3, 80.7, 94.7),
    ("ViViT", "ViT-L", None, 3992, 12, 81.3, 94.7),
    ("MViT", "MViT-B", None, 455, 9, 81.2, 95.1),
    ("Video-Swin", "Swin-B", None, 282, 12, 82.7, 95.5),
    ("SIFA-Transformer", "Swin-B", 64, 270, 12, 83.1, 95.7),
)

# method, backbone, frames, GFLOPs, views, top-1, top-5 on Kinetics-600
_TABLE_3: tuple[_Row, ...] = (
    ("I3D", "Inception", None, 108, None, 71.9, 90.1),
    ("SlowFast", "R50+R50", None, 36, 30, 78.8, 94.0),
    ("SIFA-Net", "R50", 16, 25, 30, 79.6, 94.5),
    ("SIFA-Net", "R50", 32, 51, 30, 80.5, 95.2),
    ("SIFA-Net", "R50", 64, 112, 30, 82.1, 95.8),
    ("SlowFast", "R101+R101", None, 234, 30, 81.8, 95.1),
    ("X3D-XL", "custom", None, 48, 30, 81.9, 95.5),
    ("SIFA-Net", "R101", 16, 39, 30, 80.8, 95.2),
    ("SIFA-Net", "R101", 32, 78, 30, 81.6, 95.5),
    ("SIFA-Net", "R101", 64, 157, 30, 83.2, 95.9),
    ("TimeSformer", "ViT-B", None, 1703, 3, 82.4, 96.0),
    ("ViViT", "ViT-L", None, 3992, 12, 83.0, 95.7),
    ("MViT", "ViT-B", None, 236, 5, 83.8, 96.3),
    ("Video-Swin", "Swin-B", None, 282, 12, 84.0, 96.5),
    ("SIFA-Transformer", "Swin-B", 64, 270, 12, 84.5, 96.9),
)

# method, backbone, frames, GFLOPs, views, top-1 and top-5 on Something-Something V1, then on V2
_TABLE_4 = (
    ("NL I3D+GCN", "R50", None, 606, 1, 46.1, 76.8, None, None),
    ("CPNet", "R34", None, None, None, None, None, 57.7, 84.0),
    ("TSM", "R50", None, 98, 1, 47.2, 77.1, 63.4, 88.5),
    ("TAM", "R50", None, 48, 1, 48.4, 78.8, 61.7, 88.1),
    ("GST", "R50", None, 59, 1, 48.6, 77.9, 62.6, 87.9),
    ("SmallBig", "R50", None, 105, 1, 49.3, 79.5, 62.3, 88.5),
    ("CorrNet", "R50", None, 115, 10, 49.3, None, None, None),
    ("ACTION-Net", "R50", None, 69, 1, None, None, 64.0, 89.3),
    ("STM", "R50", None, 67, 30, 50.7, 80.4, 64.2, 89.8),
    ("MSNet", "R50", None, 67, 1, 52.1, 82.3, 64.7, 89.4),
    ("TEINet", "R50", None, 99, 1, 52.5, None, 65.5, 89.8),
    ("MG-TEA", "R50", None, None, None, 53.2, None, 63.8, None),
    ("TDN", "R50", None, 72, 1, 53.9, 82.1, 65.3, 89.5),
    ("SIFA-Net", "R50", 16, 25, 3, 52.7, 81.9, 64.8, 89.4),
    ("SIFA-Net", "R50", 32, 51, 3, 54.0, 82.2, 66.0, 89.6),
    ("SIFA-Net", "R50", 64, 112, 3, 55.2, 83.3, 66.9, 90.7),
    ("GSM", "Inception", None, 268, 1, 55.2, None, None, None),
    ("CorrNet", "R101", None, 224, 30, 53.3, None, None, None),
    ("MG-TEA", "R101", None, None, None, 53.3, None, 64.8, None),
    ("TDN", "R101", None, 132, 1, 55.3, 83.3, 66.9, 90.9),
    ("SIFA-Net", "R101", 16, 39, 3, 53.7, 82.0, 65.9, 89.8),
    ("SIFA-Net", "R101", 32, 78, 3, 55.4, 83.1, 67.3, 91.1),
    ("SIFA-Net", "R101", 64, 157, 3, 56.1, 84.0, 68.1, 92.0),
    ("TimeSformer", "ViT-B", None, 1703, 3, None, None, 62.5, None),
    ("ViViT", "ViT-L", None, 903, 1, None, None, 65.4, 89.8),
    ("MViT", "ViT-B", None, 455, 3, None, None, 67.7, 90.9),
    ("Video-Swin", "Swin-B", None, 321, 3, None, None, 69.6, 92.7),
    ("SIFA-Transformer", "Swin-B", 64, 270, 3, 57.3, 85.1, 69.8, 93.1),
)

# variant, GFLOPs, top-1, top-5. The GFLOPs of SIFA* are lost in the text that this was copied from; section 4.2 says
# that they are more than SIFA's, and that its top-1 accuracy is 0.1 above.
_TABLES_1: dict[str, tuple[tuple[str, int | None, float, float], ...]] = {
    "1a": (
        ("2D-ResNet", 23, 72.0, 90.3),
        ("SIFA_C", 23, 73.3, 90.8),
        ("SIFA_R", 24, 74.6, 91.5),
        ("SIFA", 24, 75.4, 92.9),
        ("SIFA*", None, 75.5, 92.9),
    ),
    "1b": (
        ("Regular (SIFA_R)", 24, 74.6, 91.5),
        ("Conv2D(f[t+1])", 24, 74.7, 91.6),
        ("Conv3D(f)", 27, 74.8, 91.9),
        ("Conv2D(difference)", 24, 75.0, 92.1),
        ("Conv2D(f_m) (SIFA)", 24, 75.4, 92.9),
    ),
    "1c": (
        ("1 x 1", 24, 73.4, 90.9),
        ("3 x 3", 24, 75.4, 92.9),
        ("5 x 5", 25, 75.4, 93.0),
        ("7 x 7", 26, 75.4, 93.0),
        ("9 x 9", 29, 75.5, 93.1),
    ),
    "1d": (
        ("none", 23, 72.0, 90.3),
        ("res5", 24, 75.4, 92.9),
        ("res4 res5", 24, 76.2, 93.0),
        ("res3 res4 res5", 25, 77.4, 93.3),
        ("res2 res3 res4 res5", 26, 77.4, 93.2),
    ),
    "1e": (
        ("2D-ResNet", 23, 72.0, 90.3),
        ("Temporal Conv", 33, 74.1, 91.4),
        ("Temporal Shift", 23, 74.7, 91.4),
        ("Correlation", 23, 75.1, 91.6),
        ("Temporal Difference", 36, 76.6, 92.8),
        ("SIFA", 25, 77.4, 93.3),
    ),
}
