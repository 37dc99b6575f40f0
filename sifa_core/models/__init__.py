"""Models and their checkpoints."""

from sifa_core.models.base import ModelInfo, VideoModel
from sifa_core.models.checkpoint import load_model, save_checkpoint
from sifa_core.models.publish import push_to_hub
from sifa_core.models.registry import create_model, model_names
from sifa_core.models.sifa_net import SifaNet, SifaNetConfig
from sifa_core.models.sifa_transformer import SifaTransformer, SifaTransformerConfig

__all__ = [
    "ModelInfo",
    "SifaNet",
    "SifaNetConfig",
    "SifaTransformer",
    "SifaTransformerConfig",
    "VideoModel",
    "create_model",
    "load_model",
    "model_names",
    "push_to_hub",
    "save_checkpoint",
]
