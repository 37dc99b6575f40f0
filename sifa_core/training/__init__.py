"""Training and evaluation. `train(load_config("configs/..."))` is a whole run; `evaluate` measures a model."""

from typing import TYPE_CHECKING

from sifa_core.lazy import lazy_names
from sifa_core.training.config import TrainConfig
from sifa_core.training.evaluation import evaluate, evaluate_checkpoint
from sifa_core.training.recipe import load_config
from sifa_core.training.report import summary, write_report
from sifa_core.training.result import Evaluation

if TYPE_CHECKING:
    from sifa_core.training.loop import TrainingError, TrainResult, train
    from sifa_core.training.offset_accuracy import offset_report
else:  # the training loop needs Accelerate, measuring does not
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sifa_core.training.loop": ("TrainResult", "TrainingError", "train"),
            "sifa_core.training.offset_accuracy": ("offset_report",),
        },
    )

__all__ = [
    "Evaluation",
    "TrainConfig",
    "TrainResult",
    "TrainingError",
    "evaluate",
    "evaluate_checkpoint",
    "load_config",
    "offset_report",
    "summary",
    "train",
    "write_report",
]
