"""Training and evaluation. `train(load_config("configs/..."))` is a whole run; `evaluate` measures a model."""

from sifa_core.training.config import TrainConfig, load_config
from sifa_core.training.evaluation import Evaluation, evaluate, evaluate_checkpoint, summary, write_report
from sifa_core.training.loop import TrainingError, TrainResult, train
from sifa_core.training.offsets import offset_report

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
